// Drives Chromium. Every page that a test opens must neither report an error in the console, nor violate its
// Content-Security-Policy, nor request anything from another host.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { after } from 'node:test'

const require = createRequire(new URL('../../ui/package.json', import.meta.url))
const { chromium } = require('playwright-core')
const axe = require.resolve('axe-core/axe.min.js')

/** The environment that tests/it/admin/browser.rs sets; benches/speed/pages.rs sets a part of it. */
export const environment = Object.fromEntries(
  ['CHROMIUM', 'URL', 'VIEWER', 'EDITOR', 'NOBODY', 'APPROVER', 'SIMULATOR', 'HANG', 'DATABASE', 'TILES', 'LEAVER', 'KUBECTL', 'KUBECONFIG', 'NAMESPACE'].map((name) => {
    return [name.toLowerCase(), process.env[`TARANA_${name}`]]
  }),
)

if (!environment.url) throw new Error('TARANA_URL is not set: run cargo test --test it -- admin::browser')

export const PATHS = { signIn: '/admin/sign-in', baseStations: '/admin/coverage/base-stations', sync: '/admin/coverage/sync', runs: '/admin/coverage/runs', map: '/admin/coverage/map', schedules: '/admin/coverage/schedules', connections: '/admin/coverage/connections', me: '/admin/me' }

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

/** Runs SQL in the database of this URL. */
export function sql(url, ...statements) {
  const commands = statements.flatMap((statement) => ['--command', statement])
  execFileSync('psql', [url, '--no-psqlrc', '--quiet', '--set', 'ON_ERROR_STOP=1', ...commands], { stdio: ['ignore', 'ignore', 'inherit'] })
}

/** Removes roles of a service account. */
export function revoke(account, roles) {
  const { kubectl, kubeconfig, namespace } = environment
  const bindings = roles.map((role) => `${account}-${role}`)
  execFileSync(kubectl, ['--kubeconfig', kubeconfig, '--namespace', namespace, 'delete', 'rolebinding', ...bindings], { stdio: ['ignore', 'ignore', 'inherit'] })
}

/** Controls the vendor's API; see the README of devenv/src/simulator. `body` is JSON or its value. */
export async function simulator(command, body = {}) {
  const response = await fetch(`${environment.simulator}/_sim/${command}`, {
    method: 'POST',
    body: typeof body === 'string' ? body : JSON.stringify(body),
  })
  assert.equal(response.status, 200, `${command}: ${await response.clone().text()}`)
  return response.json()
}

let browser

/** The browser of this process. */
async function openBrowser() {
  browser ??= chromium.launch({
    executablePath: environment.chromium,
    headless: true,
    chromiumSandbox: process.getuid() !== 0,
    args: FLAGS,
  })
  return browser
}

/** Closes the browser; a file of tests does so at its end. */
export async function closeBrowser() {
  await (await browser)?.close()
}

if (process.env.NODE_TEST_CONTEXT) after(closeBrowser)

/**
 * Calls `work` with a page that shares nothing with those of other calls. `expected` has patterns of problems that the test causes; the other
 * options are those of playwright's contexts.
 */
export async function withPage({ expected = [], ...options }, work) {
  const context = await (await openBrowser()).newContext({
    baseURL: environment.url,
    viewport: { width: 1280, height: 800 },
    ...options,
  })
  try {
    const page = await context.newPage()
    const problems = watch(page)
    await work(page)
    const unexpected = problems.filter((problem) => !expected.some((pattern) => pattern.test(problem)))
    assert.deepEqual(unexpected, [], 'problems of the pages')
  } finally {
    await context.close()
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

/** Reloads the page until the condition is true. */
export async function reloadUntil(page, isReached) {
  const deadline = Date.now() + 60_000
  while (!(await isReached())) {
    assert.ok(Date.now() < deadline, `${page.url()} is not as expected within a minute`)
    await page.waitForTimeout(200)
    await page.reload()
  }
}

export async function signIn(page, token) {
  await page.goto(PATHS.signIn)
  await page.getByLabel('Token').fill(token)
  await page.getByRole('button', { name: 'Sign in' }).click()
}

/**
 * Checks the page in every color scheme and width: no horizontal scroll, and no serious issue of accessibility. The latter is a costly check: each scheme
 * and each width has it once.
 */
export async function assertAccessible(page) {
  for (const colorScheme of SCHEMES) {
    for (const width of WIDTHS) {
      // A color in transition has neither contrast.
      await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' })
      await page.setViewportSize({ width, height: 800 })
      const where = `${page.url()} ${colorScheme} ${width}`
      const overflow = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth)
      assert.ok(overflow <= 0, `${where}: ${overflow} pixels beyond the width`)
      if (SCHEMES.indexOf(colorScheme) === WIDTHS.indexOf(width)) assert.deepEqual(await accessibilityIssues(page), [], where)
    }
  }
}

// The debugger evaluates the script, so that the Content-Security-Policy does not apply to it.
async function accessibilityIssues(page) {
  if (!(await page.evaluate(() => 'axe' in window))) await page.evaluate(readFileSync(axe, 'utf8'))
  const { violations } = await page.evaluate(() => window.axe.run({ resultTypes: ['violations'] }))
  const serious = violations.filter(({ impact }) => ['serious', 'critical'].includes(impact))
  return serious.flatMap(({ id, nodes }) => nodes.map((node) => `${id}: ${node.html}: ${node.failureSummary}`))
}
