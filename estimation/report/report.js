/* The page's behaviour: language, tabs with deep links, plots drawn when they are seen, downloads. */
(() => {
  'use strict';
  const root = document.documentElement;
  const words = JSON.parse(document.getElementById('words').textContent);
  const remember = (key, value) => { try { localStorage.setItem(key, value); } catch (e) { /* private window */ } };
  const recall = key => { try { return localStorage.getItem(key); } catch (e) { return null; } };
  root.classList.add('js');

  const figures = [...document.querySelectorAll('figure.plot')];

  // --- tabs: the table and view named in the address, #t3 or #t3-both -------------------------------------------
  const panels = [...document.querySelectorAll('section.table')];
  function show(id) {
    const target = document.getElementById(id);
    const panel = target && target.closest('section.table');
    if (!panel) return;
    for (const one of panels) {
      one.classList.toggle('shown', one === panel);
      const tab = document.querySelector(`#tabs a[href="#${one.id}"]`);
      if (one === panel) tab.setAttribute('aria-current', 'true'); else tab.removeAttribute('aria-current');
    }
    if (target.classList.contains('view')) pick(panel, target.dataset.view);
    drawSeen();
  }
  function pick(panel, view) {
    for (const one of panel.querySelectorAll('.view')) one.classList.toggle('shown', one.dataset.view === view);
    for (const link of panel.querySelectorAll('.views a')) {
      if (link.hash === `#${panel.id}-${view}`) link.setAttribute('aria-current', 'true');
      else link.removeAttribute('aria-current');
    }
  }
  window.addEventListener('hashchange', () => show(decodeURIComponent(location.hash.slice(1))));

  // --- whose numbers a table shows ----------------------------------------------------------------------------
  for (const box of document.querySelectorAll('.whose input')) box.addEventListener('change', () => {
    root.classList.toggle(`no-${box.value}`, !box.checked);
    for (const head of document.querySelectorAll('table.results th.group')) {
      const table = head.closest('table');
      const kinds = [...table.querySelectorAll('thead tr:last-child th')].map(th => th.className);
      const per = kinds.length / table.querySelectorAll('th.group').length;
      head.colSpan = Math.max(1, kinds.slice(0, per).filter(kind => !root.classList.contains(`no-${kind}`)).length);
    }
  });

  // --- plots --------------------------------------------------------------------------------------------------
  const isChinese = () => root.dataset.lang === 'zh';
  function translated(value) {
    if (typeof value === 'string') return Object.hasOwn(words, value) ? words[value] : value;
    if (Array.isArray(value)) return value.map(translated);
    if (value && typeof value === 'object') {
      return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, key === 'field' || key === 'name' && value.select ? one : translated(one)]));
    }
    return value;
  }
  function specOf(figure) {
    const spec = JSON.parse(figure.querySelector('script').textContent);
    const {columns, rows} = spec.data;
    spec.data = {values: rows.map(row => Object.fromEntries(columns.map((name, i) => [name, row[i]])))};
    return spec;
  }
  function describe(figure) {
    const svg = figure.querySelector('.chart svg.marks') ?? figure.querySelector('.chart > svg');
    if (!svg) return;
    svg.setAttribute('role', 'img');
    svg.setAttribute('aria-label', isChinese() ? figure.dataset.zh : figure.dataset.en);
    svg.removeAttribute('aria-roledescription');
    for (const part of svg.querySelectorAll('[role], [aria-label]')) { part.removeAttribute('role'); part.removeAttribute('aria-label'); part.removeAttribute('aria-roledescription'); }
  }
  function narrow(value, limit) {
    if (!value || typeof value !== 'object') return;
    if (value.labelLimit > limit) value.labelLimit = limit;
    for (const [key, part] of Object.entries(value)) if (key !== 'data') narrow(part, limit);
  }
  async function draw(figure) {
    const chart = figure.querySelector('.chart');
    const state = root.dataset.lang + chart.clientWidth;
    if (figure.dataset.drawn === state || !chart.clientWidth) return;
    figure.dataset.drawn = state;
    const english = specOf(figure);
    const spec = isChinese() ? translated(english) : english;
    const share = Number(figure.dataset.share);
    narrow(spec, Math.round(chart.clientWidth * 0.46));
    if (share) spec.height = Math.round(chart.clientWidth * share);
    const holder = document.createElement('div');
    holder.style.width = '100%';
    const before = [...chart.childNodes];
    chart.append(holder);
    try {
      await vegaEmbed(holder, spec, {
        renderer: 'svg', actions: {export: true, source: false, compiled: false, editor: false}, downloadFileName: figure.id, logLevel: 1,
      });
      for (const node of before) node.remove();
      describe(figure);
      for (const input of holder.querySelectorAll('input')) {
        figure.querySelector('.tools').prepend(input.closest('form'));
      }
    } catch (error) { holder.remove(); console.error(figure.id, error); }
  }
  function drawSeen() {
    for (const figure of figures) {
      const box = figure.getBoundingClientRect();
      if (box.height && box.top < innerHeight * 1.5 && box.bottom > -innerHeight * 0.5) draw(figure);
    }
  }
  const seen = new IntersectionObserver(entries => { for (const one of entries) if (one.isIntersecting) draw(one.target); },
    {rootMargin: '300px'});
  for (const figure of figures) seen.observe(figure);
  for (const box of document.querySelectorAll('details')) box.addEventListener('toggle', drawSeen);

  // --- language -----------------------------------------------------------------------------------------------
  function speak(language) {
    root.dataset.lang = language;
    root.lang = language === 'zh' ? 'zh-CN' : 'en';
    for (const button of document.querySelectorAll('#language button')) {
      button.setAttribute('aria-pressed', String(button.value === language));
    }
    for (const figure of figures) describe(figure);
    for (const figure of figures) {
      for (const form of figure.querySelectorAll('.tools form')) form.remove();
      if (figure.dataset.drawn) { figure.dataset.drawn = ''; draw(figure); }
    }
    remember('customs-lake-language', language);
  }
  for (const button of document.querySelectorAll('#language button')) {
    button.addEventListener('click', () => speak(button.value));
  }
  speak(new URLSearchParams(location.search).get('lang') ?? recall('customs-lake-language') ?? 'en');

  // --- downloads ----------------------------------------------------------------------------------------------
  const quoted = value => {
    const text = value === null || value === undefined ? '' : String(value);
    return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  function save(name, rows) {
    const mark = root.dataset.generated ? [['# ' + root.dataset.generated]] : [];
    const text = '\ufeff' + [...mark, ...rows].map(row => row.map(quoted).join(',')).join('\r\n') + '\r\n';
    const link = document.createElement('a');
    link.href = URL.createObjectURL(new Blob([text], {type: 'text/csv'}));
    link.download = `${name}.csv`;
    link.click();
    URL.revokeObjectURL(link.href);
  }
  for (const button of document.querySelectorAll('[data-csv]')) button.addEventListener('click', () => {
    const values = specOf(button.closest('figure')).data.values;
    const names = Object.keys(values[0] ?? {});
    save(button.dataset.csv, [names, ...values.map(row => names.map(name => row[name]))]);
  });
  for (const button of document.querySelectorAll('[data-table]')) button.addEventListener('click', () => {
    const table = document.querySelector(`table[data-name="${button.dataset.table}"]`);
    save(button.dataset.table, [...table.rows].map(row => [...row.cells].map(cell => cell.innerText.trim())));
  });
  for (const button of document.querySelectorAll('[data-results]')) button.addEventListener('click', () => {
    const table = document.querySelector(`#${button.dataset.results} table`);
    const rows = [...table.tBodies[0].rows].map(row => [...row.cells].map(cell => cell.innerText.trim().replace(/\s*\n\s*/g, ' ')));
    const groups = [...table.querySelectorAll('th.group')].map(th => th.innerText.trim().replace(/\s*\n\s*/g, ', '));
    const kinds = [...table.querySelectorAll('thead tr:last-child th')];
    const per = kinds.length / groups.length;
    save(button.dataset.results, [['', ...kinds.map((th, i) => `${groups[Math.floor(i / per)]} ${th.innerText}`)], ...rows]);
  });

  // --- where one is -------------------------------------------------------------------------------------------
  const links = [...document.querySelectorAll('nav.contents a')];
  const heads = links.map(link => document.querySelector(link.hash));
  function mark() {
    let now = 0;
    heads.forEach((head, i) => { if (head && head.getBoundingClientRect().top < 140) now = i; });
    links.forEach((link, i) => { if (i === now) link.setAttribute('aria-current', 'location'); else link.removeAttribute('aria-current'); });
  }
  addEventListener('scroll', mark, {passive: true});

  for (const panel of panels) pick(panel, panel.querySelector('.view').dataset.view);
  if (panels.length) {
    show(panels[0].id);
    show(decodeURIComponent(location.hash.slice(1)));
    if (location.hash) { const at = document.getElementById(location.hash.slice(1)); if (at) at.scrollIntoView(); }
  }
  mark();
})();
