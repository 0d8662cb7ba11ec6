new EventSource("/events").addEventListener("tick", (event) => {
  document.querySelector("pre").textContent = JSON.stringify(JSON.parse(event.data), null, 2);
});
