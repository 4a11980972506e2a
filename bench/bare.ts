// What Node's own HTTP server can do here: `node bench/bare.ts '{"secret":"…","checks":true}'` answers 202 to each request,
// after it has checked the signature and parsed the body if it `checks`, and keeps nothing. It prints its port.
import { createHmac, timingSafeEqual } from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

export interface BareOptions {
  readonly secret: string;
  readonly checks: boolean;
}

const { secret, checks } = JSON.parse(process.argv[2]!) as BareOptions;
const ANSWER = '{"eventId":"none"}';

const server = createServer((request, response) => {
  const parts: Buffer[] = [];
  request.on("data", (part: Buffer) => parts.push(part));
  request.on("end", () => {
    const status = !checks || isRight(Buffer.concat(parts), String(request.headers["x-hub-signature-256"])) ? 202 : 401;
    response.writeHead(status, { "content-type": "application/json", "content-length": ANSWER.length });
    response.end(ANSWER);
  });
});
server.listen(0, "127.0.0.1", () => process.stdout.write(`${(server.address() as AddressInfo).port}\n`));

function isRight(body: Buffer, signature: string): boolean {
  const expected = Buffer.from(`sha256=${createHmac("sha256", secret).update(body).digest("hex")}`);
  JSON.parse(body.toString());
  return signature.length === expected.length && timingSafeEqual(Buffer.from(signature), expected);
}
