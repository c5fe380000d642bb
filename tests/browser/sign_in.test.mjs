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

test('a user sees groups, rights and the end of the session', () =>
  withPage({}, async (page) => {
    await signIn(page, environment.viewer)
    await page.getByRole('link', { name: /^system:serviceaccount:/ }).click()
    const text = await page.getByRole('main').textContent()
    assert.match(text, /system:serviceaccounts/)
    assert.match(text, /Session ends.* in 1[12] h/)
    assert.match(text, /kubectl create token NAME/)
    assert.match(text, /Missing Start a sync\s*You need the permission to create taranasyncs/)
    assert.match(text, /Allowed See the base stations/)
    await assertAccessible(page)
    await page.getByRole('main').getByRole('button', { name: 'Sign out' }).click()
    await page.getByLabel('Token').waitFor()
  }))

test('a form of an earlier session is rejected, and starts nothing', () =>
  withPage({ expected: [/status of 403/] }, async (page) => {
    await signIn(page, environment.editor)
    await page.getByRole('heading', { name: 'Sync', exact: true }).waitFor()
    const other = await page.context().newPage()
    const newestSync = async () => {
      await other.goto(PATHS.runs)
      return other.locator('.run').first().getByRole('link').getAttribute('href')
    }
    const before = await newestSync()
    await other.goto(PATHS.me)
    await other.getByRole('main').getByRole('button', { name: 'Sign out' }).click()
    // The first tab still shows the page of the session that has ended.
    await page.getByRole('button', { name: 'Sync now' }).click()
    await page.getByLabel('Token').waitFor()
    await page.getByLabel('Token').fill(environment.editor)
    await page.keyboard.press('Enter')
    await page.getByRole('heading', { name: 'Sync', exact: true }).waitFor()
    await other.goto(PATHS.me)
    await other.getByRole('main').getByRole('button', { name: 'Sign out' }).click()
    await signIn(other, environment.viewer)
    await other.locator('#total').waitFor()
    await page.getByRole('button', { name: 'Sync now' }).click()
    await page.getByRole('heading', { name: 'Permission missing' }).waitFor()
    assert.match(await page.getByRole('main').textContent(), /csrf/i)
    assert.equal(await newestSync(), before)
  }))

test('an address without a page, and an address that only receives forms, are explained', () =>
  withPage({}, async (page) => {
    for (const [path, status, title] of [['/admin/nothing', 404, 'Not found'], ['/admin/coverage/cancel', 405, 'Nothing to show']]) {
      const response = await page.goto(path)
      assert.equal(response.status(), status)
      await page.getByRole('heading', { name: title }).waitFor()
      await assertAccessible(page)
    }
  }))

for (const javaScriptEnabled of [true, false]) {
  test(`a link on another site leads to the page of who is signed in, ${javaScriptEnabled ? 'with' : 'without'} JavaScript`, () =>
    withPage({ javaScriptEnabled }, async (page) => {
      const link = `${environment.url}${PATHS.runs}?phase=Failed`
      const follow = async () => {
        await page.goto('about:blank')
        await page.setContent(`<a href="${link}">A failed sync</a>`)
        await page.getByRole('link').click()
      }
      await follow()
      await page.getByLabel('Token').fill(environment.viewer)
      await page.keyboard.press('Enter')
      await page.waitForURL(link)
      await follow()
      await page.waitForURL(link)
      await page.getByRole('heading', { name: 'Syncs', exact: true }).waitFor()
    }))
}
