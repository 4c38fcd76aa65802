/** Types of the hooks for React, and of `<upload-panel>` and `<upload-drop>` in JSX. */

import type { DetailedHTMLProps, HTMLAttributes } from "react";
import type { Client, ServiceOptions } from "./index.js";
import type { ClientSnapshot } from "./store.js";
import type { UploadDrop, UploadDropAttributes, UploadDropEvents } from "./drop.js";
import type { UploadPanel, UploadPanelAttributes } from "./panel.js";

export type { ClientSnapshot, UploadView } from "./store.js";

/** Which uploads. */
export interface UseUploadsOptions extends ServiceOptions {
  /** A client of your own, in place of the shared one for `url`. */
  client?: Client;
  /** Also what other tabs and devices send, and what was sent before a reload. */
  watch?: boolean;
}

/** Every upload of the client, and what its connection is doing; nothing on a server. */
export declare function useUploads(
  options?: UseUploadsOptions,
): ClientSnapshot & Pick<Client, "upload" | "follow">;

type Props<Element> = DetailedHTMLProps<HTMLAttributes<Element>, Element>;

// React sets properties of elements, and listens to their events, from version 19 on.
type PanelProps = Props<UploadPanel> & UploadPanelAttributes & Partial<Pick<UploadPanel, "client" | "texts">>;
type DropProps = Props<UploadDrop> &
  UploadDropAttributes &
  Partial<Pick<UploadDrop, "client" | "texts" | "context" | "fields">> & {
    onuploads?: (event: UploadDropEvents["uploads"]) => void;
    onrefused?: (event: UploadDropEvents["refused"]) => void;
  };

declare module "react" {
  namespace JSX {
    interface IntrinsicElements {
      "upload-panel": PanelProps;
      "upload-drop": DropProps;
    }
  }
}
