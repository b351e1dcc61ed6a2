// Which browser is used.

import { accessSync, constants, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";

const NAMES = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/** An installed Chromium or Chrome, else the one of the package. */
export async function browserProgram() {
  return installed() ?? (await unpacked());
}

function installed() {
  const directories = (process.env.PATH ?? "").split(delimiter);
  return directories.flatMap((directory) => NAMES.map((name) => join(directory, name))).find(isProgram);
}

function isProgram(path) {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

async function unpacked() {
  // Only where it takes itself to be does the package bring the libraries that a machine without a desktop lacks.
  process.env.AWS_EXECUTION_ENV = "AWS_Lambda_nodejs20.x";
  const { default: packaged } = await import("@sparticuz/chromium");
  const program = await packaged.executablePath();
  // The package's own file knows its fonts in one place only.
  const fonts = join(tmpdir(), "fonts");
  writeFileSync(join(fonts, "fonts.conf"), `<fontconfig><dir>${fonts}</dir><dir>/usr/share/fonts</dir></fontconfig>`);
  return program;
}
