// The totals of the base stations.

import assert from 'node:assert/strict'
import test from 'node:test'
import { assertAccessible, environment, PATHS, signIn, withPage } from './harness.mjs'

const totals = JSON.parse(process.env.TARANA_TOTALS)
const number = (value) => value.toLocaleString('en-US')

async function assertTotals(page) {
  assert.equal(new URL(page.url()).pathname, PATHS.baseStations)
  const texts = await Promise.all(
    ['total', 'online', 'offline', 'connections'].map((id) => page.locator(`#${id}`).textContent()),
  )
  const { stations, online, connections } = totals
  assert.deepEqual(texts, [stations, online, stations - online, connections].map(number))
  const percent = Math.floor((online * 1000) / stations) / 10
  assert.equal(await page.locator('#online-share').textContent(), `${percent} %`)
  assert.match(await page.locator('.freshness-line').textContent(), /The stations are true as of .*, (less than a minute|\d+ min) ago/)
}

for (const javaScriptEnabled of [true, false]) {
  test(`the cards show the numbers of the table, ${javaScriptEnabled ? 'with' : 'without'} JavaScript`, () =>
    withPage({ javaScriptEnabled }, async (page) => {
      await signIn(page, environment.viewer)
      await assertTotals(page)
      const user = await page.locator('.account .user').textContent()
      assert.match(user, /^system:serviceaccount:.*:viewer$/)
    }))
}

test('the page is accessible in every width and color scheme', () =>
  withPage({}, async (page) => {
    await signIn(page, environment.viewer)
    await assertAccessible(page)
  }))

test('a time is shown in the time zone of the browser', () =>
  withPage({ timezoneId: 'Africa/Johannesburg', locale: 'en-GB' }, async (page) => {
    await signIn(page, environment.viewer)
    const time = page.locator('.freshness-line time')
    const expected = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'short', timeZone: 'Africa/Johannesburg' })
    const moment = new Date(await time.getAttribute('datetime'))
    assert.equal(await time.textContent(), expected.format(moment))
    assert.match(await time.getAttribute('title'), /UTC$/)
    await page.getByText('times are in your time zone, Africa/Johannesburg.').waitFor()
  }))

test('a user without permission is told which one is missing', () =>
  withPage({}, async (page) => {
    await signIn(page, environment.nobody)
    const text = await page.locator('main').textContent()
    assert.match(text, /Permission missing/)
    assert.match(text, /may not get taranaconnections\.tarana\.dev in namespace/)
    assert.equal(await page.getByRole('button', { name: 'Sign out' }).count(), 1)
    await assertAccessible(page)
  }))
