// @tus/server with its file store: node tus.mjs PORT DIRECTORY [sha256]. With sha256 every byte is
// hashed on its way, as the comparison of ingest asks of all peers.
import { createHash } from "node:crypto";
import http from "node:http";
import { Transform } from "node:stream";
import { FileStore } from "@tus/file-store";
import { Server } from "@tus/server";

const [port, directory, hash] = process.argv.slice(2);
const hashes = new Map();

class Hashing extends FileStore {
    write(readable, id, offset) {
        const sum = hashes.get(id) ?? createHash("sha256");
        hashes.set(id, sum);
        const through = new Transform({
            transform(chunk, _, done) {
                sum.update(chunk);
                done(null, chunk);
            },
        });
        return super.write(readable.pipe(through), id, offset);
    }
}

const datastore = new (hash ? Hashing : FileStore)({ directory });
const server = new Server({ path: "/upload", datastore });
http.createServer(server.handle.bind(server)).listen(Number(port), "127.0.0.1");
