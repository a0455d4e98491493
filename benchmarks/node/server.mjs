// Node's smtp-server, which takes every message and drops it; says its port, and ends with its input.

import { SMTPServer } from "smtp-server";

const server = new SMTPServer({
  name: "server.example",
  size: 512 * 1024 * 1024,
  disableReverseLookup: true,
  authOptional: true,
  disabledCommands: ["AUTH", "STARTTLS"],
  logger: false,

  onData(stream, session, callback) {
    stream.on("data", () => {});
    stream.on("end", () => callback());
  },
});

server.on("error", () => {}); // a load that ends cuts its connections
server.listen(0, "127.0.0.1", 1024, () => console.log(server.server.address().port));
process.stdin.resume();
process.stdin.on("end", () => process.exit(0));
