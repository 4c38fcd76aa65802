/** Types of the composable for Vue, and of `<upload-panel>` and `<upload-drop>` in templates and JSX. */

import type { ComputedRef, HTMLAttributes, ReservedProps } from "vue";
import type { UploadDrop, UploadDropAttributes, UploadDropEvents } from "./drop.js";
import type { Client, Link, ServiceOptions } from "./index.js";
import type { UploadPanel, UploadPanelAttributes } from "./panel.js";
import type { UploadView } from "./store.js";

export type { UploadView } from "./store.js";

/** Which uploads. */
export interface UseUploadsOptions extends ServiceOptions {
  /** A client of your own, in place of the shared one for `url`. */
  client?: Client;
  /** Also what other tabs and devices send, and what was sent before a reload. */
  watch?: boolean;
}

/** Every upload of the client, and what its connection is doing; nothing on a server. */
export declare function useUploads(options?: UseUploadsOptions): {
  uploads: ComputedRef<readonly UploadView[]>;
  link: ComputedRef<Link>;
} & Pick<Client, "upload" | "follow">;

type PanelProps = HTMLAttributes &
  ReservedProps &
  UploadPanelAttributes &
  Partial<Pick<UploadPanel, "client" | "texts">>;
type DropProps = HTMLAttributes &
  ReservedProps &
  UploadDropAttributes &
  Partial<Pick<UploadDrop, "client" | "texts" | "context" | "fields">> & {
    onUploads?: (event: UploadDropEvents["uploads"]) => void;
    onRefused?: (event: UploadDropEvents["refused"]) => void;
  };

declare module "vue" {
  interface GlobalComponents {
    "upload-panel": new () => { $props: PanelProps };
    "upload-drop": new () => { $props: DropProps };
  }
}

declare module "vue/jsx-runtime" {
  namespace JSX {
    interface IntrinsicElements {
      "upload-panel": PanelProps;
      "upload-drop": DropProps;
    }
  }
}
