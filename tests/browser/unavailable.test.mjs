// What an open page does when its connection, its session or the database is lost. It keeps the last known state.

import assert from 'node:assert/strict'
import test from 'node:test'
import { environment, PATHS, revoke, signIn, simulator, sql, withPage } from './harness.mjs'

const total = (page) => page.locator('#total').textContent()

async function open(page) {
  await signIn(page, environment.editor)
  await page.locator('#live-lost').waitFor({ state: 'hidden' })
  await page.getByRole('heading', { name: 'Sync', exact: true }).waitFor()
}

test('lost live updates are announced with the time', () =>
  withPage({ expected: [/ERR_INTERNET_DISCONNECTED/] }, async (page) => {
    await open(page)
    await page.context().setOffline(true)
    await page.locator('#live-lost').waitFor({ state: 'visible' })
    assert.match(await page.locator('#live-lost').textContent(), /Live updates are lost since .*\d/)
    await page.context().setOffline(false)
    await page.locator('#live-lost').waitFor({ state: 'hidden' })
  }))

test('a page whose session has ended leads to the sign-in, and back', () =>
  withPage({ expected: [/status (of )?401/] }, async (page) => {
    await open(page)
    const other = await page.context().newPage()
    await other.goto(PATHS.me)
    await other.getByRole('main').getByRole('button', { name: 'Sign out' }).click()
    await other.getByLabel('Token').waitFor()
    // The stream checks the session every 30 seconds.
    await page.getByLabel('Token').waitFor({ timeout: 90_000 })
    await page.getByLabel('Token').fill(environment.editor)
    await page.keyboard.press('Enter')
    await page.locator('#total').waitFor()
  }))

test('a user whose roles are removed learns which permission is missing', () =>
  withPage({ expected: [/status (of )?403/] }, async (page) => {
    await signIn(page, environment.leaver)
    await page.locator('#total').waitFor()
    const other = await page.context().newPage()
    await other.goto(PATHS.baseStations)
    await other.locator('#total').waitFor()
    revoke('leaver', ['viewer', 'editor'])
    // Permissions are known for ten seconds, and a stream checks them every 30.
    await other.locator('#live-lost').waitFor({ state: 'visible', timeout: 90_000 })
    await other.locator('#total').waitFor()
    await page.getByRole('button', { name: 'Sync now' }).click()
    await page.getByRole('main').getByText(/may not (create|get) tarana\w+\.tarana\.dev in namespace/).waitFor()
    await page.goBack()
    await page.getByRole('link', { name: 'Connections', exact: true }).click()
    await page.getByRole('main').getByText(/may not get taranaconnections\.tarana\.dev in namespace/).waitFor()
    await page.getByRole('link', { name: /leaver/ }).click()
    await page.getByRole('heading', { name: 'Signed in', exact: true }).waitFor()
  }))

test('a poll that fails is announced, and leaves the page as it is', () =>
  withPage({ expected: [/status of 503/] }, async (page) => {
    await simulator('script', environment.hang)
    await open(page)
    await page.getByRole('button', { name: 'Sync now' }).click()
    await page.getByRole('link', { name: 'Details of this sync' }).click()
    await page.locator('#run-state', { hasText: 'Running' }).waitFor()
    await page.route('**/admin/coverage/runs/*', (route) => route.fulfill({ status: 503, contentType: 'text/html', body: '<p>No</p>' }))
    await page.locator('#live-lost').waitFor({ state: 'visible' })
    assert.equal(await page.locator('#run-state').textContent(), 'Running')
    await page.unroute('**/admin/coverage/runs/*')
    await page.locator('#live-lost').waitFor({ state: 'hidden' })
    await simulator('clear')
    await simulator('release')
    await page.locator('#run-state', { hasText: 'Completed' }).waitFor()
  }))

test('a page that is open while the database is unavailable says so, and keeps the last known state', () =>
  withPage({ expected: [/status of 503/] }, async (page) => {
    await open(page)
    const before = await total(page)
    const schedules = await page.context().newPage()
    const name = new URL(environment.database).pathname.slice(1)
    // Not the database that does not accept connections.
    const server = new URL('/postgres', environment.database).href
    sql(server, `alter database "${name}" allow_connections false`, `select pg_terminate_backend(pid) from pg_stat_activity where datname = '${name}'`)
    try {
      // Pages about objects only do not need the database.
      await schedules.goto(PATHS.schedules)
      await schedules.getByText('cannot be read now').waitFor()
      await schedules.getByText('Suspend …').click()
      await schedules.getByLabel('Reason').fill('no database')
      await schedules.getByRole('button', { name: 'Suspend the schedule' }).click()
      // The change of the schedule makes the operator send the overview again.
      await page.locator('#live-lost').waitFor({ state: 'visible' })
      assert.equal(await total(page), before)
      const response = await schedules.goto(PATHS.baseStations)
      assert.equal(response.status(), 503)
      assert.match(await schedules.getByRole('main').textContent(), /The database cannot be used/)
    } finally {
      sql(server, `alter database "${name}" allow_connections true`)
    }
    await schedules.goto(PATHS.schedules)
    await schedules.getByRole('button', { name: 'Resume' }).click()
    await page.locator('#live-lost').waitFor({ state: 'hidden' })
    assert.equal(await total(page), before)
  }))
