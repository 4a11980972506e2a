import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { TestContext } from "node:test";

export interface VendorRequest {
  readonly method: string;
  /** With its query. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body: string;
}

export interface VendorAnswer {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as JSON. */
  readonly json?: unknown;
  readonly text?: string;
}

/** A server that plays a vendor's API by a function of the request, and keeps what it was asked. Closed after the test. */
export async function playVendor(t: TestContext, answer: (request: VendorRequest) => VendorAnswer) {
  const requests: VendorRequest[] = [];
  const server = createServer(async (incoming, response) => {
    let body = "";
    for await (const chunk of incoming) body += chunk;
    const headers = incoming.headers as VendorRequest["headers"];
    const request = { method: incoming.method!, path: incoming.url!, headers, body };
    requests.push(request);
    const { status = 200, headers: more = {}, json, text } = answer(request);
    response.writeHead(status, { "content-type": "application/json", ...more });
    response.end(text ?? (json === undefined ? "" : JSON.stringify(json)));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => server.close().closeAllConnections());
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, requests };
}
