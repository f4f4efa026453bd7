// Two of the maps on either side of a line that moves.
const chosen = [null, null];
function fill() {
  const two = element.querySelector('.abn-two');
  if (!two) return;
  const cards = [...element.querySelectorAll('.abn-cards .abn-laid img')];
  two.querySelectorAll('select').forEach((select, side) => {
    const names = [...select.options].map((option) => option.value);
    if (select.dataset.filled !== '1') {
      const language = document.documentElement.lang.split('-')[0];
      for (const option of select.options) option.textContent = option.dataset[language] ?? option.dataset.en;
      if (names.includes(chosen[side])) select.value = chosen[side];
      select.dataset.filled = '1';
    }
    const source = cards.find((card) => card.dataset.method === select.value);
    const image = two.querySelectorAll('.abn-laid img')[side];
    if (source && image.src !== source.src) image.src = source.src;
  });
}
element.addEventListener('change', (event) => {
  const selects = [...element.querySelectorAll('.abn-two select')];
  if (selects.includes(event.target)) { chosen[selects.indexOf(event.target)] = event.target.value; fill(); }
});
element.addEventListener('input', (event) => {
  if (event.target.matches('.abn-two input')) element.style.setProperty('--split', event.target.value + '%');
});
new MutationObserver(fill).observe(element, { childList: true, subtree: true });
fill();
