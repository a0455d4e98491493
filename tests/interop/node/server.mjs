// smtp-server, once for each way in, storing what comes: node server.mjs SETTINGS
// SETTINGS is JSON: certificate (a PEM file), mail (a folder), user, password, token, mailboxes, domains, size.
// The first line of output is JSON: the way in, and its port on 127.0.0.1.

import { createWriteStream, copyFileSync, mkdirSync, readFileSync, renameSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import { SMTPServer } from "smtp-server";

const settings = JSON.parse(process.argv[2]);
const pem = readFileSync(settings.certificate);
let count = 0;

function refusal(code, text) {
  return Object.assign(new Error(text), { responseCode: code });
}

const common = {
  name: "server.example",
  key: pem,
  cert: pem,
  size: settings.size,
  disableReverseLookup: true,
  authOptional: true,
  logger: false,
  hideDSN: false,

  onAuth(auth, session, callback) {
    const known = auth.username === settings.user;
    const right =
      auth.method === "XOAUTH2"
        ? auth.accessToken === settings.token
        : auth.method === "CRAM-MD5"
          ? auth.validatePassword(settings.password)
          : auth.password === settings.password;
    callback(known && right ? null : refusal(535, "5.7.8 No"), { user: auth.username });
  },

  onRcptTo(address, session, callback) {
    const at = address.address.lastIndexOf("@");
    const known = settings.mailboxes.includes(address.address.slice(0, at));
    callback(known ? null : refusal(550, "5.1.1 No such mailbox"));
  },

  onData(stream, session, callback) {
    const name = `${process.pid}-${count++}`;
    const begun = join(settings.mail, `${name}.begun`);
    const file = stream.pipe(createWriteStream(begun));
    file.on("finish", () => {
      console.log(JSON.stringify({ ...session.envelope, from: session.remoteAddress }));
      const addresses = session.envelope.rcptTo.map((each) => each.address);
      for (const address of addresses) {
        const local = address.slice(0, address.lastIndexOf("@"));
        const folder = join(settings.mail, local);
        for (const each of ["new", "tmp"]) mkdirSync(join(folder, each), { recursive: true });
        copyFileSync(begun, join(folder, "tmp", name));
        renameSync(join(folder, "tmp", name), join(folder, "new", name));
      }
      unlinkSync(begun);
      callback(null, addresses.map(() => "2.0.0 Kept"));
    });
  },
};

const ways = {
  clear: {},
  implicit: { secure: true },
  lmtp: { lmtp: true },
  impatient: { socketTimeout: 1000 },
  proxy: { useProxy: true },
};
for (const method of ["PLAIN", "LOGIN", "CRAM-MD5", "XOAUTH2"]) {
  ways[`login ${method}`] = { authMethods: [method], authOptional: false };
}

const ports = {};
await Promise.all(
  Object.entries(ways).map(
    ([way, options]) =>
      new Promise((resolve) => {
        const server = new SMTPServer({ ...common, ...options });
        server.on("error", (error) => console.error(way, error.message));
        const listener = server.listen(0, "127.0.0.1", () => {
          ports[way] = listener.address().port;
          resolve();
        });
      }),
  ),
);
console.log(JSON.stringify(ports));
