// nodemailer delivers a message as it is: node send.mjs SETTINGS
// SETTINGS is JSON: host, port, tls ("clear", "starttls" or "implicit"), ca (a PEM file), lmtp, name, mechanism, user,
// password, sender, recipients, message (a file with CRLF).

import { readFileSync } from "node:fs";
import nodemailer from "nodemailer";

const settings = JSON.parse(process.argv[2]);
const transport = nodemailer.createTransport({
  host: settings.host,
  port: settings.port,
  name: settings.name,
  lmtp: settings.lmtp,
  secure: settings.tls === "implicit",
  ignoreTLS: settings.tls === "clear",
  requireTLS: settings.tls === "starttls",
  tls: { ca: readFileSync(settings.ca) },
  ...(settings.mechanism && {
    authMethod: settings.mechanism,
    auth: { user: settings.user, pass: settings.password },
  }),
  connectionTimeout: 60000,
  socketTimeout: 60000,
});

try {
  await transport.sendMail({
    envelope: { from: settings.sender, to: settings.recipients, use8BitMime: true },
    raw: readFileSync(settings.message),
  });
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}
