/** @jsxImportSource react */
/** The elements in JSX of React, by `tsc` in scripts/lint: what they have, and what is wrong. */

import type {} from "../../sse_progress/browser/client/react.js";
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
    onuploads={({ detail }) => detail.uploads.map(({ id }) => id.length + (detail.batch?.id.length ?? 0))}
    onrefused={({ detail: [{ file, refusal }] }) => console.log(file.name, refusal.limit)}
  />
);

// @ts-expect-error there is no such corner
export const corner = <upload-panel position="middle" />;
// @ts-expect-error there is no such attribute
export const attribute = <upload-drop folder />;
// @ts-expect-error a field has a name
export const field = <upload-drop fields={[{ label: "Title" }]} />;
// @ts-expect-error its detail has no files
export const event = <upload-drop onuploads={({ detail }) => detail.files} />;
