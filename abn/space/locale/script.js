// Before anything is painted: styles show the words of the browser's own language.
document.documentElement.lang = navigator.language || 'en';
