// Tries the docs page as its readers do: by clicking, with what the page fills in by itself.

import assert from "node:assert/strict";

import { chromium } from "playwright-core";

import { browserProgram } from "./program.mjs";

const [, , url, screenshot] = process.argv;

const browser = await chromium.launch({ executablePath: await browserProgram(), args: ["--no-sandbox"] });
const page = await browser.newPage({ viewport: { width: 1200, height: 1600 } });
const requests = [];
const faults = [];
page.on("request", (request) => requests.push(request.url()));
page.on("pageerror", (fault) => faults.push(fault));

try {
  await page.goto(`${url}/docs/`);
  assert.equal(await page.title(), "Order service");
  await execute("Commands", "placeOrder", 201, "ord-001");
  await execute("Commands", "authorizePayment", 202, "accepted");
  await execute("Reading", "getOrder", 200, "payment_authorized");
  await execute("Reading", "listOrders", 200, "ord-001");
  await execute("Events", "orderEvents", 200, "pay-001");
  await execute("Events", "log", 200, "pay-001");
} finally {
  await page.screenshot({ path: screenshot });
  await browser.close();
}
const elsewhere = requests.filter((request) => !request.startsWith(`${url}/`) && !request.startsWith("data:"));
assert.deepEqual(elsewhere, []);
assert.deepEqual(faults, []);

/** Opens an operation, clicks on "Try it out" and "Execute", and compares what the page shows of the answer. */
async function execute(tag, operation, status, text) {
  const block = page.locator(`#operations-${tag}-${operation}`);
  await block.locator(".opblock-summary-control").click();
  await block.getByRole("button", { name: "Try it out" }).click();
  await block.getByRole("button", { name: "Execute" }).click();
  const answer = block.locator(".live-responses-table .response");
  const shown = await answer.innerText();
  assert.equal(Number.parseInt(await answer.locator(".response-col_status").innerText()), status, shown);
  assert(shown.includes(text), `${operation}: ${shown}`);
}
