// A map without a picture, in a colour map's own colours.
import { unpacked } from '../../space/widgets/stage/packed.js';
import { lay, paint } from '../../space/widgets/stage/paint.js';

// Over its own peak: black holds no light, and "paper" adds all of the colour.
export function drawMap(canvas, map, colours) {
  const { width, height } = canvas;
  const heat = lay(unpacked(map), width, height);
  const out = new ImageData(width, height);
  for (let i = 3; i < out.data.length; i += 4) out.data[i] = 255;
  const scaled = map.peak ? heat.map((value) => Math.min(1, value / map.peak)) : heat;
  paint(out.data, out.data, scaled, width, height, { blend: 'paper', alpha: 1, colours, stretch: false });
  canvas.getContext('2d').putImageData(out, 0, 0);
}
