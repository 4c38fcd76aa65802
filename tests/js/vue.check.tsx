/** @jsxImportSource vue */
/** The elements in JSX of Vue, by `tsc` in scripts/lint: what they have, and what is wrong. */

import type {} from "../../sse_progress/browser/client/vue.js";
import type { GlobalComponents } from "vue";
import { Client } from "../../sse_progress/browser/client/index.js";

const client = new Client();

export const panel = (
  <upload-panel url="/api" position="top-left" clear-after={5} minimized watch lang="de" client={client} />
);

export const drop = (
  <upload-drop
    url="/api"
    kind="photo"
    lang="de"
    single
    folders
    paste
    staged
    batch
    client={client}
    context={{ course: "c1" }}
    fields={[{ name: "title", required: true }]}
    onUploads={({ detail }) => detail.uploads.map(({ id }) => id.length + (detail.batch?.id.length ?? 0))}
    onRefused={({ detail: [{ file, refusal }] }) => console.log(file.name, refusal.limit)}
  />
);

// @ts-expect-error there is no such corner
export const corner = <upload-panel position="middle" />;
// @ts-expect-error there is no such attribute
export const attribute = <upload-drop folder />;
// @ts-expect-error a field has a name
export const field = <upload-drop fields={[{ label: "Title" }]} />;
// @ts-expect-error its detail has no files
export const event = <upload-drop onUploads={({ detail }) => detail.files} />;

type Props<Name extends keyof GlobalComponents> = InstanceType<GlobalComponents[Name]>["$props"];
export const inTemplates: [Props<"upload-panel">, Props<"upload-drop">] = [
  { position: "top-left", client },
  { staged: true, onRefused: (event) => console.log(event.detail[0].refusal.code) },
];
