// busboy, the file and its SHA-256: node busboy.mjs PORT DIRECTORY
import { createHash } from "node:crypto";
import fs from "node:fs";
import http from "node:http";
import { pipeline } from "node:stream/promises";
import busboy from "busboy";

const [port, directory] = process.argv.slice(2);
let count = 0;
http.createServer((request, response) => {
    const form = busboy({ headers: request.headers, fileHwm: 1 << 20 });
    let stored;
    form.on("file", (_, file) => {
        const sum = createHash("sha256");
        file.on("data", (chunk) => sum.update(chunk));
        const target = fs.createWriteStream(`${directory}/b${count++}.bin`, { highWaterMark: 1 << 20 });
        stored = pipeline(file, target);
    });
    form.on("close", async () => {
        await stored;
        response.writeHead(200, { "content-length": 2 }).end("ok");
    });
    request.pipe(form);
}).listen(Number(port), "127.0.0.1");
