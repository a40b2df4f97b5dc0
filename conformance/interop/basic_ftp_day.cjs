// A day's work with basic-ftp: usage basic_ftp_day.cjs HOST PORT USER PASSWORD. Prints `all well` at the end.
const assert = require("node:assert")
const { Readable, Writable } = require("node:stream")
const ftp = require("basic-ftp")

function sink() {
    const parts = []
    const stream = new Writable({ write(chunk, _, done) { parts.push(chunk); done() } })
    return { stream, bytes: () => Buffer.concat(parts) }
}

async function fetch(client, name, offset = 0) {
    const got = sink()
    await client.downloadTo(got.stream, name, offset)
    return got.bytes()
}

async function main() {
    const [host, port, user, password] = process.argv.slice(2)
    const client = new ftp.Client(20000)
    await client.access({ host, port: Number(port), user, password, secure: false })
    await client.ensureDir("/a/ b/c")
    assert.equal(await client.pwd(), "/a/ b/c")
    const content = Buffer.alloc(1_000_000, "tide ")
    await client.uploadFrom(Readable.from([content]), "naïve file.txt")
    assert.ok(content.equals(await fetch(client, "naïve file.txt")))
    assert.ok(content.subarray(500_000).equals(await fetch(client, "naïve file.txt", 500_000)))
    assert.equal(await client.size("naïve file.txt"), content.length)
    assert.ok((await client.lastMod("naïve file.txt")).getTime() > Date.now() - 600_000)
    const byFacts = await client.list()
    assert.deepEqual(byFacts.map(entry => [entry.name, entry.size]), [["naïve file.txt", content.length]])
    // The same with LIST and its parsers.
    client.availableListCommands = ["LIST -a", "LIST"]
    const byList = (await client.list()).filter(entry => ![".", ".."].includes(entry.name))
    assert.deepEqual(byList.map(entry => [entry.name, entry.size]), [["naïve file.txt", content.length]])
    await client.appendFrom(Readable.from([Buffer.from("more")]), "naïve file.txt")
    assert.equal(await client.size("naïve file.txt"), content.length + 4)
    await client.rename("naïve file.txt", "empty")
    await client.uploadFrom(Readable.from([]), "empty")
    assert.equal(await client.size("empty"), 0)
    await client.remove("empty")
    await client.cd("/")
    await client.removeDir("a")
    assert.equal((await client.list()).filter(entry => ![".", ".."].includes(entry.name)).length, 0)
    client.close()
    console.log("all well")
}

main().catch(error => { console.error(error); process.exit(1) })
