// The schedules: their slots, run now, suspend and resume.

import assert from 'node:assert/strict'
import test from 'node:test'
import { assertAccessible, environment, PATHS, reloadUntil, signIn, withPage } from './harness.mjs'

const badge = (page, text) => page.locator('.schedule h2 .badge', { hasText: text })

async function open(page, token) {
  await signIn(page, token)
  await page.getByRole('link', { name: 'Schedules', exact: true }).click()
  await page.getByRole('heading', { name: 'nightly' }).waitFor()
}

test('a schedule shows what happened at its slots and what comes next', () =>
  withPage({}, async (page) => {
    await open(page, environment.viewer)
    const text = await page.locator('.schedule').textContent()
    assert.match(text, /Every day at \d\d:00, time zone Europe\/Berlin/)
    assert.match(text, /first was still under way/)
    assert.match(text, /The operator was not running in time/)
    const slots = page.locator('.slots')
    assert.equal(await slots.nth(0).locator('li').count(), 4)
    assert.equal(await slots.nth(1).locator('li').count(), 5)
    assert.ok(await page.getByRole('button', { name: 'Run now' }).isDisabled())
    assert.ok(await page.getByRole('button', { name: 'Suspend …' }).isDisabled())
    assert.match(text, /You need the permission to patch taranasyncschedules/)
    await assertAccessible(page)
  }))

for (const javaScriptEnabled of [true, false]) {
  test(`a schedule is suspended with a reason and resumed, ${javaScriptEnabled ? 'with' : 'without'} JavaScript`, () =>
    withPage({ javaScriptEnabled }, async (page) => {
      await open(page, environment.editor)
      await page.getByText('Suspend …').click()
      await page.getByLabel('Reason').fill('vendor <b>maintenance')
      await page.getByRole('button', { name: 'Suspend the schedule' }).click()
      await reloadUntil(page, async () => (await badge(page, 'Suspended').count()) > 0)
      await page.getByText('Suspended: Vendor <b>maintenance.').waitFor()
      if (javaScriptEnabled) {
        const color = (element) => getComputedStyle(element).color
        const running = await page.evaluate(() => {
          const element = document.createElement('span')
          element.className = 'badge badge-running'
          return getComputedStyle(document.body.appendChild(element)).color
        })
        assert.notEqual(await badge(page, 'Suspended').evaluate(color), running)
        await assertAccessible(page)
      }
      await page.getByRole('link', { name: 'Base stations', exact: true }).click()
      const attention = page.locator('.attention', { hasText: 'The schedule nightly is suspended: Vendor <b>maintenance.' })
      await attention.getByRole('link', { name: 'Open the schedules' }).click()
      await page.getByRole('button', { name: 'Resume' }).click()
      await reloadUntil(page, async () => (await badge(page, 'Active').count()) > 0)
    }))
}
