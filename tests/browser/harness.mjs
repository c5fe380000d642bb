// Drives Chromium. Every page that a test opens must neither report an error in the console, nor violate its
// Content-Security-Policy, nor request anything from another host.

import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const require = createRequire(new URL('../../ui/package.json', import.meta.url))
const { chromium } = require('playwright-core')
const axe = require.resolve('axe-core/axe.min.js')

/** The environment that tests/it/admin/browser.rs sets. */
export const environment = Object.fromEntries(
  ['CHROMIUM', 'URL', 'VIEWER', 'EDITOR', 'NOBODY', 'APPROVER', 'SIMULATOR', 'HANG'].map((name) => {
    const value = process.env[`TARANA_${name}`]
    if (!value) throw new Error(`TARANA_${name} is not set: run cargo test --test it -- admin::browser`)
    return [name.toLowerCase(), value]
  }),
)

export const PATHS = { signIn: '/admin/sign-in', baseStations: '/admin/coverage/base-stations', runs: '/admin/coverage/runs' }

// Without these, Chromium tries to reach hosts of its vendor.
const FLAGS = [
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-gpu',
  '--disable-quic',
  '--disable-sync',
  '--no-first-run',
]
const WIDTHS = [360, 1920]
const SCHEMES = ['light', 'dark']

/** Controls the vendor's API; see the README of devenv/src/simulator. `body` is JSON or its value. */
export async function simulator(command, body = {}) {
  const response = await fetch(`${environment.simulator}/_sim/${command}`, {
    method: 'POST',
    body: typeof body === 'string' ? body : JSON.stringify(body),
  })
  assert.equal(response.status, 200, `${command}: ${await response.clone().text()}`)
  return response.json()
}

/** Calls `work` with a page of a new browser profile. Options are those of playwright's contexts. */
export async function withPage({ expectsLostUpdates = false, ...options }, work) {
  const profile = mkdtempSync(join(tmpdir(), 'tarana-browser-'))
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: environment.chromium,
    headless: true,
    chromiumSandbox: process.getuid() !== 0,
    args: FLAGS,
    baseURL: environment.url,
    viewport: { width: 1280, height: 800 },
    ...options,
  })
  try {
    const page = await context.newPage()
    const problems = watch(page)
    await work(page)
    const expected = (problem) => expectsLostUpdates && problem.includes('ERR_INTERNET_DISCONNECTED')
    assert.deepEqual(problems.filter((problem) => !expected(problem)), [], 'problems of the pages')
  } finally {
    await context.close()
    rmSync(profile, { recursive: true, force: true })
  }
}

// Chromium also reports in the console that the page itself has an error status, which tests assert on their own.
function watch(page) {
  const problems = []
  page.on('pageerror', (error) => problems.push(`error: ${error}`))
  page.on('console', (message) => {
    const isPageStatus = message.text().startsWith('Failed to load resource') && message.location().url === page.url()
    if (['error', 'warning'].includes(message.type()) && !isPageStatus) problems.push(`console: ${message.text()}`)
  })
  page.on('request', (request) => {
    const url = new URL(request.url())
    if (url.protocol !== 'data:' && url.origin !== environment.url) problems.push(`foreign request: ${url}`)
  })
  return problems
}

export async function signIn(page, token) {
  await page.goto(PATHS.signIn)
  await page.getByLabel('Token').fill(token)
  await page.getByRole('button', { name: 'Sign in' }).click()
}

/** Checks the page in every color scheme and width: no serious issue of accessibility, no horizontal scroll. */
export async function assertAccessible(page) {
  for (const colorScheme of SCHEMES) {
    for (const width of WIDTHS) {
      await page.emulateMedia({ colorScheme })
      await page.setViewportSize({ width, height: 800 })
      const where = `${page.url()} ${colorScheme} ${width}`
      const overflow = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth)
      assert.ok(overflow <= 0, `${where}: ${overflow} pixels beyond the width`)
      assert.deepEqual(await accessibilityIssues(page), [], where)
    }
  }
}

// The debugger evaluates the script, so that the Content-Security-Policy does not apply to it.
async function accessibilityIssues(page) {
  const { readFileSync } = await import('node:fs')
  await page.evaluate(readFileSync(axe, 'utf8'))
  const { violations } = await page.evaluate(() => window.axe.run())
  const serious = violations.filter(({ impact }) => ['serious', 'critical'].includes(impact))
  return serious.flatMap(({ id, nodes }) => nodes.map((node) => `${id}: ${node.html}: ${node.failureSummary}`))
}
