// Sign-in and sign-out.

import assert from 'node:assert/strict'
import test from 'node:test'
import { assertAccessible, environment, PATHS, signIn, withPage } from './harness.mjs'

for (const javaScriptEnabled of [true, false]) {
  const suffix = javaScriptEnabled ? 'with JavaScript' : 'without JavaScript'

  test(`a wrong token is rejected with a reason, ${suffix}`, () =>
    withPage({ javaScriptEnabled }, async (page) => {
      await signIn(page, 'wrong')
      const message = await page.getByRole('alert').textContent()
      assert.match(message, /The token is invalid, has expired or has another audience/)
      assert.equal(await page.getByLabel('Token').inputValue(), '', 'a token is not sent back')
      assert.match(await page.locator('.command').textContent(), /^kubectl create token NAME \\\n  --namespace \S+ \\\n  --duration 12h \\\n  --audience tarana-operator$/)
      if (javaScriptEnabled) await assertAccessible(page)
    }))

  test(`sign-out ends the session, also for the back button, ${suffix}`, () =>
    withPage({ javaScriptEnabled }, async (page) => {
      await signIn(page, environment.viewer)
      await page.waitForURL(`**${PATHS.baseStations}`)
      await page.getByRole('button', { name: 'Sign out' }).click()
      await page.waitForURL(`**${PATHS.signIn}`)
      await page.goBack({ waitUntil: 'load' }).catch(() => {})
      await page.getByLabel('Token').waitFor()
      assert.equal(await page.locator('#total').count(), 0)
      await page.goto(PATHS.baseStations)
      assert.equal(new URL(page.url()).pathname, PATHS.signIn)
    }))
}

test('the requested page is shown after the sign-in, and no page of another host', () =>
  withPage({}, async (page) => {
    const requested = `${PATHS.baseStations}?connection=default`
    await page.goto(requested)
    await page.getByLabel('Token').fill(environment.viewer)
    await page.keyboard.press('Enter')
    await page.waitForURL(`**${requested}`)
    await page.goto(`${PATHS.signIn}?to=https://example.com/`)
    assert.equal(page.url(), environment.url + PATHS.baseStations, 'who is signed in goes on at once')
  }))

test('htmx sends the token of the session', () =>
  withPage({}, async (page) => {
    await signIn(page, environment.viewer)
    await page.getByRole('heading', { name: 'Base stations', exact: true }).waitFor()
    const requested = page.waitForRequest((request) => request.method() === 'POST')
    await page.evaluate(() => window.htmx.ajax('POST', '/admin/sign-out', { target: 'main', swap: 'none' }))
    const headers = await (await requested).allHeaders()
    assert.match(headers['x-csrf-token'], /^[0-9a-f]{64}$/)
    await page.goto(PATHS.baseStations)
    assert.equal(new URL(page.url()).pathname, PATHS.signIn)
  }))

test('the sign-in page is usable with the keyboard alone', () =>
  withPage({}, async (page) => {
    await page.goto(PATHS.signIn)
    assert.equal(await page.evaluate(() => document.activeElement.id), 'token')
    await page.keyboard.type(environment.viewer)
    await page.keyboard.press('Tab')
    await page.keyboard.press('Enter')
    await page.waitForURL(`**${PATHS.baseStations}`)
    await page.keyboard.press('Tab')
    assert.equal(await page.evaluate(() => document.activeElement.className), 'skip-link')
  }))
