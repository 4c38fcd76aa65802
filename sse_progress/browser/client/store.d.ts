/** Types that the hooks for React and Vue share. */

import type { Client, Link, Upload, UploadState } from "./index.js";

/** An upload to act on, and its state of this moment to draw. */
export interface UploadView {
  readonly upload: Upload;
  readonly state: UploadState;
}

export interface ClientSnapshot {
  readonly uploads: readonly UploadView[];
  readonly link: Link;
}

export declare const EMPTY: ClientSnapshot;
export declare function storeOf(client: Client): {
  snapshot(): ClientSnapshot;
  subscribe(listener: () => void): () => void;
};
