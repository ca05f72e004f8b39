// mailauth as a filter: one JSON object a line in, one a line out. Octets are code points below 256.
//
//   node mailauth.mjs ADDRESS:PORT      the name server to ask
//
// {"op": "verify", "message", "ip", "helo", "sender"}
//     -> {"dkim": [{"domain", "selector", "algorithm", "result", "comment", "oversized"}, ...],
//         "spf", "arc": {"result", "instance", "comment"}, "dmarc"}
// {"op": "sign", "message", "form", "length", "headers", "domain", "selector", "key"}
//     -> {"fields"}   "length" is the number for l= or null, "headers" is null or names for h=
// {"op": "seal", "message", "domain", "selector", "key", "results", "cv"} -> {"fields"}

import { Resolver } from "node:dns/promises";
import { createInterface } from "node:readline";
import { createRequire } from "node:module";

const load = createRequire(import.meta.url);
const { authenticate, sealMessage } = load("mailauth");
const { dkimSign } = load("mailauth/lib/dkim/sign");

const server = new Resolver({ timeout: 2000, tries: 2 });
server.setServers([process.argv[2]]);
const resolver = (name, type) => server.resolve(name, type);

const octets = (text) => Buffer.from(text, "latin1");
const text = (bytes) => Buffer.from(bytes).toString("latin1");

async function verify(request) {
    const found = await authenticate(octets(request.message), {
        ip: request.ip,
        helo: request.helo,
        sender: request.sender,
        mta: "mailauth.example",
        disableBimi: true,
        resolver,
    });
    return {
        dkim: found.dkim.results
            .filter((one) => one.signingDomain)
            .map((one) => ({
                domain: one.signingDomain,
                selector: one.selector,
                algorithm: one.algo,
                result: one.status.result,
                comment: one.status.comment ?? "",
                oversized: one.status.underSized ?? 0,
            })),
        spf: found.spf ? found.spf.status.result : "none",
        arc: {
            result: found.arc.status.result,
            instance: found.arc.i || 0,
            comment: found.arc.status.comment ?? "",
        },
        dmarc: found.dmarc ? found.dmarc.status.result : "none",
    };
}

async function sign(request) {
    const key = {
        signingDomain: request.domain,
        selector: request.selector,
        privateKey: request.key,
    };
    if (request.length !== null) {
        key.maxBodyLength = request.length;
    }
    const made = await dkimSign(octets(request.message), {
        canonicalization: request.form,
        headerList: request.headers ?? undefined,
        signTime: new Date(), // else it takes the time twice, for what it signs and for what it writes
        signatureData: [key],
    });
    if (made.errors.length > 0) {
        throw made.errors[0].err;
    }
    return { fields: text(Buffer.from(made.signatures)) };
}

async function seal(request) {
    const fields = await sealMessage(octets(request.message), {
        signingDomain: request.domain,
        selector: request.selector,
        privateKey: request.key,
        authResults: request.results,
        cv: request.cv,
        signTime: new Date(),
    });
    return { fields: text(fields) };
}

const operations = { verify, sign, seal };

for await (const line of createInterface({ input: process.stdin })) {
    let answer;
    try {
        const request = JSON.parse(line);
        answer = await operations[request.op](request);
    } catch (error) {
        answer = { error: `${error.code ?? ""} ${error.stack}` };
    }
    process.stdout.write(`${JSON.stringify(answer)}\n`);
}
