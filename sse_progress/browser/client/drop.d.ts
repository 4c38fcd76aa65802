/** Types of `<upload-drop>`. */

import type { Batch, Client, Upload } from "./index.js";
import type { PanelTexts } from "./panel.js";

/** A text field that is asked for with each file. */
export interface Field {
  name: string;
  label?: string;
  required?: boolean;
}

export interface Refusal {
  code: "too_large" | "rejected_type" | "empty_file";
  limit?: number;
  accepted?: string[];
}

export interface UploadDropEvents {
  uploads: CustomEvent<{ uploads: Upload[]; batch: Batch | null }>;
  refused: CustomEvent<{ file: File; refusal: Refusal }[]>;
}

export declare class UploadDrop extends HTMLElement {
  client: Client;
  texts: PanelTexts;
  context: Record<string, string>;
  fields: readonly Field[];
  take(files: Iterable<File>): Promise<void>;
}

declare global {
  interface HTMLElementTagNameMap {
    "upload-drop": UploadDrop;
  }
}
