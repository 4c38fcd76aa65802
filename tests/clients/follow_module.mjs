// Follows an upload with the module: node follow_module.mjs SERVICE ID TRANSPORT. Prints each event.
import { Client } from "../../sse_progress/browser/client/index.js";

const [url, id, transport] = process.argv.slice(2);
const client = new Client({ url, transport });
client.observeLink((link) => console.error(link));
const upload = client.follow(id, {
  onEvent: (_, event) => event?.type === "progress" && console.log(JSON.stringify(event)),
});
upload.done.then(
  () => process.exit(0),
  (error) => {
    console.error(error.code, error.detail);
    process.exit(1);
  },
);
