// Saves what is shown, at the picture's own size: the same sum, made by the browser.
element.addEventListener('click', (event) => {
  if (!event.target.closest('button[data-do=save]')) return;
  const [picture, colours] = ['.abn-picture', '.abn-jet'].map((name) => element.querySelector(name));
  const canvas = document.createElement('canvas');
  canvas.width = picture.naturalWidth; canvas.height = picture.naturalHeight;
  const context = canvas.getContext('2d');
  context.drawImage(picture, 0, 0);
  context.globalCompositeOperation = 'lighter';
  context.globalAlpha = Number(getComputedStyle(colours).opacity);
  context.drawImage(colours, 0, 0);
  canvas.toBlob((blob) => {
    const link = document.createElement('a');
    link.href = URL.createObjectURL(blob); link.download = 'attention.png'; link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  });
});
