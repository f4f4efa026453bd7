(alpha) => { document.getElementById('VIEW').style.setProperty('--alpha', alpha); }
