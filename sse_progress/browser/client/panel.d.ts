/** Types of `<upload-panel>`. */

import type { Client, Link, Phase, StageName } from "./index.js";

/** A text, or one for each plural category of Intl.PluralRules. */
export type Text = string | ({ other: string } & Record<string, string>);

/** Words of your own over the panel's; see TEXTS in texts.js for the holes that each may have. */
export interface PanelTexts {
  lang?: string;
  label?: string;
  minimize?: string;
  restore?: string;
  dismissAll?: string;
  cancel?: string;
  pause?: string;
  resume?: string;
  /** Under a paused upload of a file that is not at hand. */
  goOn?: string;
  retry?: string;
  dismiss?: string;
  unnamed?: string;
  overall?: string;
  active?: Text;
  working?: Text;
  settled?: Text;
  stopped?: Text;
  trouble?: Text;
  /** Of `<upload-drop>`. */
  sendFiles?: Text;
  percent?: string;
  of?: string;
  /** Files that are done, of those that are sent together. */
  counted?: string;
  speed?: string;
  left?: string;
  announce?: string;
  summary?: string;
  rest?: Text;
  stageDone?: string;
  link?: Partial<Record<Link, string>>;
  phase?: Partial<Record<Phase | "cancelling" | "paused" | "away" | "review", string>>;
  stage?: Partial<Record<StageName, string>>;
  error?: Record<string, string>;
  /** Built-in sentences by `messageKey`. */
  message?: Record<string, string>;
  /** Of `<upload-drop>`. */
  drop?: Record<string, string>;
}

export declare class UploadPanel extends HTMLElement {
  client: Client;
  texts: PanelTexts;
  dismiss(): void;
}

declare global {
  interface HTMLElementTagNameMap {
    "upload-panel": UploadPanel;
  }
}
