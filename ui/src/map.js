// The interactive map: Leaflet on a canvas, at the view that the page was drawn with. Until it has its first stations, and without JavaScript, the page
// shows them as SVG. src/admin/ui/map/drawing.rs draws them in the same way.

(() => {
  'use strict'

  // Edge of the world in world.svg, as in map.mjs.
  const GRID = 16384
  const WEDGE_RADIUS = 20
  const WEDGE_ANGLE = 50
  const DOT_RADIUS = 6
  const DOT_DISTANCE = 13
  const GROUP_ZOOM = 2
  const MAX_ZOOM = 18
  const MAX_FITTED_ZOOM = 12
  // The edge of Web Mercator: what is beyond it is shown there.
  const EDGE = 85.05
  // Stations in the list below the map.
  const MAX_LISTED = 100
  // Stations are loaded for an area that is larger than the view by this share at each edge.
  const MARGIN = 0.3

  const element = document.querySelector('#map')
  const drawing = element.querySelector('.map-drawing')
  const error = document.querySelector('#map-error')
  const list = document.querySelector('#map-list')
  const isStill = window.matchMedia('(prefers-reduced-motion: reduce)').matches
  const isDark = window.matchMedia('(prefers-color-scheme: dark)')
  const number = (value) => value.toLocaleString('en-US')

  // Colors of the style sheet, which depend on the color scheme.
  let colors
  function readColors() {
    const style = getComputedStyle(element)
    const names = ['good', 'bad', 'warning', 'surface', 'land', 'water', 'border']
    colors = Object.fromEntries(names.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]))
  }
  const colorOf = (status) => ({ online: colors.good, offline: colors.bad, mixed: colors.warning })[status]
  const statusOf = (online, stations) => (online === 0 ? 'offline' : online === stations ? 'online' : 'mixed')

  /** The lines of a path of world.svg: coordinates as fractions of the world, and the box around them. */
  function parsePath(path) {
    return path.getAttribute('d').split('M').slice(1).map((text) => {
      const points = text.replace(/[lz]/g, ' ').trim().split(' ').map(Number)
      for (let index = 2; index < points.length; index += 1) points[index] += points[index - 2]
      const box = [Infinity, Infinity, -Infinity, -Infinity]
      points.forEach((value, index) => {
        points[index] = value / GRID
        box[index % 2] = Math.min(box[index % 2], points[index])
        box[2 + (index % 2)] = Math.max(box[2 + (index % 2)], points[index])
      })
      return { points, box }
    })
  }

  /** Land, lakes or borders. The world repeats beyond the antimeridian. */
  const World = L.Path.extend({
    initialize(lines, options) {
      this.lines = lines
      L.setOptions(this, { interactive: false, fillOpacity: 1, weight: 1, ...options })
    },
    _project() {
      // It is everywhere.
      this._pxBounds = L.bounds([-1e8, -1e8], [1e8, 1e8])
    },
    _update() {
      if (this._map) this._updatePath()
    },
    _updatePath() {
      const renderer = this._renderer
      if (!renderer._drawing) return
      const context = renderer._ctx
      const origin = this._map.getPixelOrigin()
      const scale = L.CRS.EPSG3857.scale(this._map.getZoom())
      const area = [renderer._bounds.min, renderer._bounds.max].map((point) => point.add(origin).divideBy(scale))
      context.beginPath()
      // Land that crosses the antimeridian is beyond the edge of its copy.
      for (let copy = Math.floor(area[0].x) - 1; copy <= Math.floor(area[1].x) + 1; copy += 1) {
        for (const { points, box } of this.lines) {
          if (box[0] + copy > area[1].x || box[2] + copy < area[0].x || box[1] > area[1].y || box[3] < area[0].y) continue
          for (let index = 0; index < points.length; index += 2) {
            const x = (points[index] + copy) * scale - origin.x
            const y = points[index + 1] * scale - origin.y
            if (index === 0) context.moveTo(x, y)
            else context.lineTo(x, y)
          }
          if (this.options.fill) context.closePath()
        }
      }
      renderer._fillStroke(context, this)
    },
  })

  function outline(context, status, weight) {
    const isHollow = status === 'offline'
    context.fillStyle = isHollow ? colors.surface : colorOf(status)
    context.strokeStyle = isHollow ? colorOf(status) : colors.surface
    context.lineWidth = weight
    context.fill()
    context.stroke()
  }

  /** A group of stations: a circle with their number. */
  const Group = L.CircleMarker.extend({
    _updatePath() {
      if (!this._renderer._drawing || this._empty()) return
      const { _ctx: context } = this._renderer
      const { status, count } = this.options
      context.beginPath()
      context.arc(this._point.x, this._point.y, this._radius, 0, 2 * Math.PI)
      outline(context, status, 2)
      context.fillStyle = status === 'offline' ? colors.bad : colors.surface
      context.font = `600 12px ${getComputedStyle(element).fontFamily}`
      context.textAlign = 'center'
      context.textBaseline = 'middle'
      context.fillText(count, this._point.x, this._point.y + 1)
    },
  })

  const radians = (degrees) => (degrees * Math.PI) / 180

  /** A station: a sector of a circle from an angle to another, or a dot. */
  const Station = L.CircleMarker.extend({
    _updatePath() {
      if (!this._renderer._drawing || this._empty()) return
      const { _ctx: context } = this._renderer
      const { from, to, status } = this.options
      const center = this._center()
      context.beginPath()
      if (from === undefined) {
        context.arc(center.x, center.y, DOT_RADIUS, 0, 2 * Math.PI)
      } else {
        // An azimuth begins in the north, an angle of a canvas in the east.
        context.moveTo(center.x, center.y)
        context.arc(center.x, center.y, WEDGE_RADIUS, radians(from - 90), radians(to - 90))
        context.closePath()
      }
      outline(context, status, status === 'offline' ? 2 : 1)
    },
    _center() {
      return this._point.add([this.options.shift, 0])
    },
    _containsPoint(point) {
      const { from, to } = this.options
      const offset = point.subtract(this._center())
      const distance = Math.hypot(offset.x, offset.y)
      if (from === undefined) return distance <= DOT_RADIUS + 2
      const azimuth = (Math.atan2(offset.x, -offset.y) * 180) / Math.PI
      return distance <= WEDGE_RADIUS + 1 && (((azimuth - from) % 360) + 360) % 360 <= to - from
    },
  })

  /** Each station with its index among those of the same place and azimuth, and their number. */
  function sideBySide(stations) {
    const places = new Map()
    for (const station of stations) {
      const key = `${station.lng} ${station.lat} ${station.azimuthDeg}`
      if (!places.has(key)) places.set(key, [])
      places.get(key).push(station)
    }
    return [...places.values()].flatMap((equal) => equal.map((station, index) => ({ station, index, count: equal.length })))
  }

  const addressOf = (station) =>
    `${element.dataset.stationPath}/${encodeURIComponent(station.serial)}${element.dataset.stationQuery}`

  function tooltip(text) {
    const content = document.createElement('span')
    content.textContent = text.length > 200 ? `${text.slice(0, 200)}…` : text
    return content
  }

  const container = document.createElement('div')
  container.className = 'map-live'
  container.setAttribute('role', 'region')
  container.setAttribute('aria-label', 'Map of the stations. Arrow keys move it, plus and minus zoom. The stations in view are in the list below.')
  element.append(container)
  const map = L.map(container, {
    attributionControl: Boolean(element.dataset.attribution),
    fadeAnimation: !isStill,
    inertia: !isStill,
    markerZoomAnimation: !isStill,
    maxZoom: MAX_ZOOM,
    minZoom: 1,
    preferCanvas: true,
    renderer: L.canvas({ padding: 0.5 }),
    worldCopyJump: true,
    zoomAnimation: !isStill,
  })
  const ground = L.layerGroup().addTo(map)
  const symbols = L.layerGroup().addTo(map)
  let shown = { stations: [], groups: [], cells: 1 }

  /** The copy of a position that is next to the center of the view. */
  function near({ lat, lng }) {
    const turns = Math.round((map.getCenter().lng - lng) / 360)
    return L.latLng(Math.min(Math.max(lat, -EDGE), EDGE), lng + 360 * turns)
  }

  /** The mean of a group, but so far from the edge of its cell that groups do not overlap. */
  function centerOf(group, radius) {
    const scale = L.CRS.EPSG3857.scale(map.getZoom())
    const cell = scale / shown.cells
    const inset = Math.min(radius, cell / 2)
    const inside = (position) => {
      const edge = Math.floor(position / cell) * cell
      return Math.min(Math.max(position, edge + inset), edge + cell - inset)
    }
    const { x, y } = L.CRS.EPSG3857.latLngToPoint(L.latLng(group), map.getZoom())
    return near(L.CRS.EPSG3857.pointToLatLng(L.point(inside(x), inside(y)), map.getZoom()))
  }

  function drawSymbols() {
    symbols.clearLayers()
    for (const { station, index, count } of sideBySide(shown.stations)) {
      const hasAzimuth = station.azimuthDeg !== undefined
      const width = WEDGE_ANGLE / count
      const from = hasAzimuth ? station.azimuthDeg - WEDGE_ANGLE / 2 + width * index : undefined
      const shift = hasAzimuth ? 0 : DOT_DISTANCE * (index - (count - 1) / 2)
      const status = station.online ? 'online' : 'offline'
      new Station(near(station), { radius: WEDGE_RADIUS + Math.abs(shift), from, to: from + width, shift, status })
        .bindTooltip(tooltip(`${station.serial}, ${station.siteName}, ${status}`), { sticky: true })
        .on('click', () => window.location.assign(addressOf(station)))
        .addTo(symbols)
    }
    for (const group of shown.groups) {
      const count = number(group.stations)
      const radius = 10 + 3 * count.length
      new Group(centerOf(group, radius), { radius, count, status: statusOf(group.online, group.stations) })
        .bindTooltip(tooltip(`${count} stations, ${number(group.online)} online`), { sticky: true })
        .on('click', () => map.setView(near(group), Math.min(map.getZoom() + GROUP_ZOOM, MAX_ZOOM)))
        .addTo(symbols)
    }
  }

  /** Writes the stations in view as links, for the keyboard and for screen readers. */
  function writeList() {
    const isInView = (position) => map.getBounds().contains(near(position))
    const stations = shown.stations.filter(isInView)
    const grouped = shown.groups.filter(isInView)
    const sum = grouped.reduce((total, group) => total + group.stations, 0)
    const parts = [`${number(stations.length)} ${stations.length === 1 ? 'station' : 'stations'}`]
    if (stations.length > MAX_LISTED) parts[0] += `, of which the first ${MAX_LISTED} are listed`
    if (grouped.length) parts.push(`${number(sum)} in groups: zoom in to see them one by one`)
    list.querySelector('#map-list-summary').textContent = `${parts.join(', and ')}.`
    const items = stations.slice(0, MAX_LISTED).map((station) => {
      const item = document.createElement('li')
      const link = document.createElement('a')
      link.href = addressOf(station)
      link.append(document.createElement('bdi'))
      link.firstChild.textContent = station.serial
      const status = document.createElement('span')
      status.className = `status status-${station.online ? 'online' : 'offline'}`
      status.textContent = station.online ? 'Online' : 'Offline'
      item.append(link, status)
      return item
    })
    list.querySelector('ul').replaceChildren(...items)
  }

  /** The view with a margin, in the terms of the API. */
  function area() {
    const bounds = map.getBounds().pad(MARGIN)
    const wrap = (lng) => ((((lng + 180) % 360) + 360) % 360) - 180
    const isWorld = bounds.getEast() - bounds.getWest() >= 360
    return {
      bounds,
      bbox: [
        isWorld ? -180 : wrap(bounds.getWest()),
        bounds.getSouth() <= -EDGE ? -90 : bounds.getSouth(),
        isWorld ? 180 : wrap(bounds.getEast()),
        bounds.getNorth() >= EDGE ? 90 : bounds.getNorth(),
      ].join(','),
    }
  }

  /** Replaces the drawing by the map. */
  function reveal() {
    element.classList.add('is-live')
    drawing.hidden = true
    document.querySelector('#map-moves').hidden = true
    list.hidden = false
  }

  let request
  let loaded
  async function load() {
    // An answer for another area must not replace this one.
    request?.abort()
    if (loaded && loaded.zoom === map.getZoom() && loaded.bounds.contains(map.getBounds())) {
      error.hidden = true
      writeList()
      return
    }
    request = new AbortController()
    const { signal } = request
    const { bounds, bbox } = area()
    const zoom = map.getZoom()
    const address = new URL(element.dataset.area, window.location.href)
    address.searchParams.set('zoom', zoom)
    address.searchParams.set('bbox', bbox)
    try {
      const response = await fetch(address, { signal })
      // The session has ended: the sign-in page leads back here.
      if (response.status === 401) window.location.reload()
      const body = await response.json()
      if (!response.ok) throw new Error(body.detail ?? response.statusText)
      shown = body
      loaded = { bounds, zoom }
      error.hidden = true
      drawSymbols()
      writeList()
      reveal()
    } catch (reason) {
      if (signal.aborted) return
      document.querySelector('#map-error-reason').textContent = reason.message
      error.hidden = false
    }
  }

  let world
  function drawGround() {
    ground.clearLayers()
    if (!world) return
    ground.addLayer(new World(world.land, { fill: true, fillColor: colors.land, stroke: false }))
    ground.addLayer(new World(world.lakes, { fill: true, fillColor: colors.water, stroke: false }))
    ground.addLayer(new World(world.borders, { fill: false, color: colors.border }))
    // Layers are drawn in the order in which they were added.
    if (shown.stations.length || shown.groups.length) drawSymbols()
  }

  function backgroundLost() {
    document.querySelector('#map-land-error').hidden = false
  }

  /** Whom the map credits, as HTML. */
  function credit() {
    const text = document.createElement('span')
    text.textContent = element.dataset.attribution
    return text.innerHTML
  }

  /** The images of a tile server. Many servers require a Referer to know who uses them. */
  function serverLayer() {
    const options = { attribution: credit(), maxZoom: MAX_ZOOM, referrerPolicy: 'strict-origin' }
    return L.tileLayer(element.dataset.tiles, options).on('tileerror', backgroundLost)
  }

  /** The file of tiles, of which ranges are read. It announces if that fails. */
  function openFile(address) {
    const source = new pmtiles.FetchSource(address)
    const getBytes = async (offset, length, signal, etag) => {
      try {
        return await source.getBytes(offset, length, signal, etag)
      } catch (reason) {
        if (!signal?.aborted) backgroundLost()
        throw reason
      }
    }
    return new pmtiles.PMTiles({ getKey: () => source.getKey(), getBytes })
  }

  /** The tiles of a file: images, or vector tiles in the colors of the page. */
  function fileLayer(file) {
    const { minTileZoom, maxTileZoom } = element.dataset
    const options = { attribution: credit(), maxZoom: MAX_ZOOM }
    if (!window.protomapsL) {
      const layer = pmtiles.leafletRasterLayer(file, { ...options, minNativeZoom: Number(minTileZoom), maxNativeZoom: Number(maxTileZoom) })
      // As Leaflet does for the images of a server: screen readers skip them.
      return layer.on('tileloadstart', ({ tile }) => {
        tile.alt = ''
      })
    }
    const flavor = isDark.matches ? 'dark' : 'light'
    return protomapsL.leafletLayer({ ...options, url: file, flavor, lang: 'en', maxDataZoom: Number(maxTileZoom) })
  }

  /** Draws the background in the colors of another color scheme. */
  let recolorBackground = drawGround

  /** Tiles of a server or of a file, or else the land. */
  async function loadBackground() {
    const { tiles, tileFile } = element.dataset
    if (!tiles && !tileFile) return loadWorld()
    map.attributionControl.setPrefix(false)
    if (tiles) return void serverLayer().addTo(map)
    const file = openFile(tileFile)
    let layer = fileLayer(file).addTo(map)
    recolorBackground = () => {
      layer.remove()
      layer = fileLayer(file).addTo(map)
    }
  }

  async function loadWorld() {
    const response = await fetch(element.dataset.world)
    if (!response.ok) throw new Error(response.statusText)
    const svg = new DOMParser().parseFromString(await response.text(), 'image/svg+xml')
    const lines = (id) => parsePath(svg.getElementById(id))
    world = { land: lines('land'), lakes: lines('lakes'), borders: lines('borders') }
    drawGround()
  }

  /** Keeps the view in the address, for a reload and the way back from a station. */
  function keepView() {
    const { lat, lng } = map.getCenter().wrap()
    const address = new URL(window.location.href)
    address.searchParams.set('zoom', map.getZoom())
    address.searchParams.set('lat', Math.min(Math.max(lat, -EDGE), EDGE).toFixed(5))
    address.searchParams.set('lng', lng.toFixed(5))
    window.history.replaceState(window.history.state, '', address)
  }

  readColors()
  isDark.addEventListener('change', () => {
    readColors()
    recolorBackground()
    drawSymbols()
  })
  const { bbox, lat, lng, zoom } = element.dataset
  if (bbox) {
    const [west, south, east, north] = bbox.split(',').map(Number)
    map.fitBounds([[Math.max(south, -EDGE), west], [Math.min(north, EDGE), east]], { maxZoom: MAX_FITTED_ZOOM, padding: [30, 30] })
  } else {
    map.setView([Number(lat), Number(lng)], Number(zoom))
  }
  map.on('moveend', keepView)
  map.on('moveend', load)
  loadBackground().catch(backgroundLost)
  load()
})()
