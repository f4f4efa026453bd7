// The camera, and why there is none.

// wanted: constraints of its video. Raises DOMException.
export async function openCamera(wanted = {}) {
  if (!navigator.mediaDevices?.getUserMedia) throw new DOMException('', 'SecurityError');
  return navigator.mediaDevices.getUserMedia({ video: { facingMode: 'environment', ...wanted } });
}

const REASONS = {
  NotAllowedError: 'live_refused',
  SecurityError: 'live_insecure', // pages without https are given none
  NotReadableError: 'live_held',
  AbortError: 'live_held',
};

// The key of what to do about it.
export const whyNot = (error) => REASONS[error.name] || 'live_missing';
