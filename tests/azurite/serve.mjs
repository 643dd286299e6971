// Runs Azurite's blob service in memory on 127.0.0.1, for as long as stdin stays open: a test process holds the
// other end of the pipe, so the service ends with that process, however it ends.
//
//     node serve.mjs [PORT] [--cert FILE --key FILE] [--oauth basic]
//
// Port 0, the default, is any free one. Azurite says on stdout where it listens.

const [port = "0", ...options] = process.argv.slice(2);
const service = ["--inMemoryPersistence", "--silent", "--disableTelemetry", "--blobHost", "127.0.0.1", "--blobPort", port];

process.stdin.on("close", () => process.exit(0)).resume();
process.argv.splice(2, Infinity, ...service, ...options);
await import("azurite/dist/src/blob/main.js");
