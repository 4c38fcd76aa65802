/** Types of `<upload-drop>`. */

import type { Batch, Client, Upload } from "./index.js";
import type { PanelTexts } from "./panel.js";

/** A text field that is asked for with each file. */
export interface Field {
  /** Under which the service gets it. */
  name: string;
  /** For people. Default: `name` */
  label?: string;
  /** Nothing is sent while it is empty. */
  required?: boolean;
}

/** Why a file was not sent: what the service would have said. */
export interface Refusal {
  /** As the service's own. */
  code: "too_large" | "rejected_type" | "empty_file";
  /** Bytes, with `too_large`. */
  limit?: number;
  /** Media types, with `rejected_type`. */
  accepted?: string[];
}

/** As they are written in HTML; a true one is there, whatever its value. */
export interface UploadDropAttributes {
  /** The service's root with its prefix. Default: where the module came from */
  url?: string;
  /** The kind of upload, which says what is accepted. */
  kind?: string;
  /** A language, as a tag of BCP 47. Default: the reader's */
  lang?: string;
  /** One file only. */
  single?: boolean;
  /** A button for a folder. */
  folders?: boolean;
  /** Take files that are pasted anywhere on the page. */
  paste?: boolean;
  /** Show what was chosen, with previews, before it is sent. */
  staged?: boolean;
  /** Several files together are one batch. */
  batch?: boolean;
}

/** None of them bubbles. */
export interface UploadDropEvents {
  /** Sending has begun; `batch` is null without the attribute, and where none could be made. */
  uploads: CustomEvent<{ uploads: Upload[]; batch: Batch | null }>;
  /** Files that are not sent. */
  refused: CustomEvent<{ file: File; refusal: Refusal }[]>;
}

/**
 * Takes files by drop, picker, folder and paste, and sends them. Refuses what the service would; shows no
 * progress, as `<upload-panel>` does.
 */
export declare class UploadDrop extends HTMLElement {
  /** The Client that sends. Default: the shared one for the attribute `url` */
  client: Client;
  /** Words of your own. */
  texts: PanelTexts;
  /** A label for every upload, for lists and streams to filter by. */
  context: Record<string, string>;
  /** Text fields for each file; with some, files are staged. */
  fields: readonly Field[];
  /** Take files as if they had been dropped. */
  take(files: Iterable<File>): Promise<void>;
}

declare global {
  interface HTMLElementTagNameMap {
    "upload-drop": UploadDrop;
  }
}
