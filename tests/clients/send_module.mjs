// Sends a file with the module, in node: node send_module.mjs SERVICE FILE ID. Prints the media.
import { openAsBlob } from "node:fs";
import { basename } from "node:path";
import { Client } from "../../sse_progress/browser/client/index.js";

const [url, path, id] = process.argv.slice(2);
const client = new Client({ url });
const file = new File([await openAsBlob(path)], basename(path), { type: "text/plain" });
const upload = client.upload(file, { id, fields: { album: "Sea" }, resumable: true });
upload.done.then(
  (media) => {
    console.log(JSON.stringify(media));
    client.close();
    process.exit(0);
  },
  (error) => {
    console.error(error.code, error.detail);
    process.exit(1);
  },
);
