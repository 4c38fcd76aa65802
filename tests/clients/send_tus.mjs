// Sends a file with tus-js-client as it is: node send_tus.mjs ENDPOINT FILE ID PROTOCOL CHUNK_BYTES [PARALLEL]
import { createReadStream } from "node:fs";
import { basename } from "node:path";
import * as tus from "../js/node_modules/tus-js-client/lib.esm/node/index.js";

const [endpoint, file, id, protocol, chunk, parallel] = process.argv.slice(2);
const upload = new tus.Upload(createReadStream(file), {
  endpoint,
  protocol,
  chunkSize: Number(chunk),
  parallelUploads: Number(parallel ?? 1),
  headers: { "X-Upload-ID": id },
  metadata: { filename: basename(file), filetype: "text/plain", album: "Sea" },
  retryDelays: [20, 50, 100, 200, 400, 800, 1600, 3200, 6400, 6400],
  onError: (error) => {
    console.error(String(error));
    process.exit(1);
  },
  onSuccess: () => console.log(upload.url),
});
upload.start();
