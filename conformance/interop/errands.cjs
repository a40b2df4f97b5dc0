// Jobs of the battery with basic-ftp: usage errands.cjs HOST PORT USER PASSWORD FOLDER JOBS, where JOBS is a JSON list of lists.
const fs = require("node:fs")
const ftp = require("basic-ftp")

async function main() {
    const [host, port, user, password, folder, jobs] = process.argv.slice(2)
    const client = new ftp.Client(20000)
    await client.access({ host, port: Number(port), user, password, secure: false })
    await client.cd(folder)
    const work = {
        "list": async into => {
            const names = (await client.list()).map(entry => entry.name + "\n")
            fs.writeFileSync(into, names.join(""))
        },
        "upload": (local, name) => client.uploadFrom(local, name),
        "download": (name, local) => client.downloadTo(local, name),
        "resume-upload": (local, name, offset) => client.appendFrom(local, name, { localStart: offset }),
        "resume-download": (name, local, offset) => client.downloadTo(local, name, offset),
        "rename": (from, to) => client.rename(from, to),
        "delete": name => client.remove(name),
        "make-folder": name => client.send("MKD " + name),
    }
    for (const [kind, ...parameters] of JSON.parse(jobs)) {
        await work[kind](...parameters)
    }
    client.close()
    console.log("all well")
}

main().catch(error => { console.error(error); process.exit(1) })
