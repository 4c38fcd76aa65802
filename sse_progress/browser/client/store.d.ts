/** Types that the hooks for React and Vue share. */

import type { Client, Link, Upload, UploadState } from "./index.js";

/** An upload to act on, and its state of this moment to draw. */
export interface UploadView {
  /** With its methods: `cancel()`, `retry()` and so on. */
  readonly upload: Upload;
  /** All that is known of it. */
  readonly state: UploadState;
}

/** Everything at one moment; a change is a new object. */
export interface ClientSnapshot {
  /** In the order in which they became known. */
  readonly uploads: readonly UploadView[];
  /** What the connection is doing. */
  readonly link: Link;
}

export declare const EMPTY: ClientSnapshot;
export declare function storeOf(client: Client): {
  snapshot(): ClientSnapshot;
  subscribe(listener: () => void): () => void;
};
