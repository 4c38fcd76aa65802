/** Types of the composable for Vue. */

import type { ComputedRef } from "vue";
import type { Client, Link, ServiceOptions } from "./index.js";
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
