// Reads and writes volumes by packages of npm; runs in the folder where those of package.json are.
//
// node node_tools.mjs JOBS ANSWERS        as python_tools.py

import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { NVImage } from '@niivue/niivue'
import dcmjs from 'dcmjs'

dcmjs.log.setLevel('error')
const { DicomMessage, DicomMetaDictionary, datasetToBuffer } = dcmjs.data

const bufferOf = (path) => {
  const bytes = readFileSync(path)
  return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length)
}
const opposite = ([x, y, z]) => [-x, -y, z] // RAS mm from LPS mm, or back

async function readByNiivue({ path, points }) {
  const image = await NVImage.new(bufferOf(path), basename(path))
  const voxels = points.map((point) => [...image.mm2vox(opposite(point))])
  return {
    points: voxels.map((voxel) => opposite([...image.vox2mm(voxel, image.matRAS)])),
    values: voxels.map((voxel) => image.getValue(...voxel))
  }
}

const datasetsOf = (folder) =>
  readdirSync(folder).sort().map((name) => {
    const { dict, meta } = DicomMessage.readFile(bufferOf(join(folder, name)))
    return Object.assign(DicomMetaDictionary.naturalizeDataset(dict), { _meta: DicomMetaDictionary.naturalizeDataset(meta) })
  })

const dot = (a, b) => a.reduce((sum, each, axis) => sum + each * b[axis], 0)

// Equation C.7.6.2.1-1 of PS3.3 on the naturalised elements
function readByDcmjs({ path, points }) {
  const slices = datasetsOf(path)
  const found = points.map((point) => {
    const at = slices.map((slice) => {
      const across = slice.ImageOrientationPatient.slice(0, 3)
      const down = slice.ImageOrientationPatient.slice(3)
      const away = point.map((each, axis) => each - slice.ImagePositionPatient[axis])
      const column = Math.round(dot(away, across) / slice.PixelSpacing[1])
      const row = Math.round(dot(away, down) / slice.PixelSpacing[0])
      const place = slice.ImagePositionPatient.map(
        (each, axis) => each + column * slice.PixelSpacing[1] * across[axis] + row * slice.PixelSpacing[0] * down[axis]
      )
      const Stored = slice.PixelRepresentation ? Int16Array : Uint16Array
      const stored = new Stored(slice.PixelData[0] ?? slice.PixelData)[row * slice.Columns + column]
      const value = stored * (slice.RescaleSlope ?? 1) + Number(slice.RescaleIntercept ?? 0)
      return { place, value, distance: Math.hypot(...place.map((each, axis) => each - point[axis])) }
    })
    return at.reduce((best, each) => (each.distance < best.distance ? each : best))
  })
  return { points: found.map((each) => each.place), values: found.map((each) => each.value) }
}

async function writeByNiivue({ nifti, out }) {
  const image = await NVImage.new(bufferOf(nifti), basename(nifti))
  writeFileSync(out, await image.saveToUint8Array(basename(out)))
}

// Slices as they are read, or with one buffer in the place of a list of one
function writeByDcmjs({ series, out, kind }) {
  const slices = datasetsOf(series)
  if (kind.includes('PixelData')) for (const slice of slices) slice.PixelData = slice.PixelData[0]
  const dataset = dcmjs.normalizers.Normalizer.normalizeToDataset(slices)
  mkdirSync(out)
  writeFileSync(join(out, 'enhanced.dcm'), Buffer.from(datasetToBuffer(dataset)))
}

const READERS = { NiiVue: readByNiivue, dcmjs: readByDcmjs }
const WRITERS = { NiiVue: writeByNiivue, dcmjs: writeByDcmjs }

async function answer(job) {
  try {
    if (!job.out) return await READERS[job.tool](job)
    await WRITERS[job.tool](job)
    return { added: 0 }
  } catch (error) {
    return { error: `${error.name}: ${error.message}` }
  }
}

const versionOf = (name) => JSON.parse(readFileSync(`node_modules/${name}/package.json`)).version
const answers = []
for (const job of JSON.parse(readFileSync(process.argv[2]))) answers.push(await answer(job))
const versions = { NiiVue: versionOf('@niivue/niivue'), dcmjs: versionOf('dcmjs') }
writeFileSync(process.argv[3], JSON.stringify({ versions, answers }))
