// Run tests on the CPython of Pyodide: node run.mjs FOLDER [pytest's arguments]
// FOLDER has node_modules/pyodide, and in site-packages/ the libraries that the tests import.
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";

const [folder, ...args] = process.argv.slice(2);
const { loadPyodide } = await import(pathToFileURL(resolve(folder, "node_modules/pyodide/pyodide.mjs")));
const python = await loadPyodide({ env: { HOME: "/root", PYTHONDONTWRITEBYTECODE: "1" } });
for (const [place, root] of [["/project", "."], ["/site-packages", resolve(folder, "site-packages")]]) {
  python.FS.mkdir(place);
  python.FS.mount(python.FS.filesystems.NODEFS, { root }, place);
}
python.globals.set("arguments", python.toPy(args));
try {
  process.exitCode = python.runPython(`
import os, sys
os.chdir("/project")
sys.path[:0] = ["/project", "/site-packages"]
import pytest
int(pytest.main(["-p", "tests.pyodide.plugin", *arguments]))
`);
} catch (error) {
  // Node would print the source of the interpreter with it.
  console.error(error.message);
  process.exitCode = 1;
}
