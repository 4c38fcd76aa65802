"""nginx, with Nchan for streams and with its own buffering of bodies for files."""

from __future__ import annotations

from pathlib import Path

STREAMS = """
load_module /usr/lib/nginx/modules/ngx_nchan_module.so;
user root; worker_processes 1; daemon off; worker_rlimit_nofile 30000;
pid {place}/nginx.pid; error_log {place}/error.log warn;
events {{ worker_connections 25000; }}
http {{
  access_log off; keepalive_timeout 600s; keepalive_requests 100000000;
  nchan_shared_memory_size 512M; tcp_nodelay on; client_body_temp_path {place};
  server {{ listen 127.0.0.1:{port} backlog=4096;
    location = /progress {{ nchan_subscriber eventsource; nchan_channel_id fan;
      nchan_subscriber_first_message newest; }}
    location = /publish {{ nchan_publisher; nchan_channel_id fan;
      nchan_message_buffer_length 8; nchan_message_timeout 30s; }}
  }} }}
"""

BODIES = """
user root; worker_processes 1; daemon off; pid {place}/nginx.pid; error_log {place}/error.log warn;
events {{ worker_connections 1024; }}
http {{ access_log off; client_body_temp_path {place}/files;
  client_max_body_size 0; client_body_buffer_size 1024k;
  server {{ listen 127.0.0.1:{port};
    location /upload {{ client_body_in_file_only on; proxy_pass_request_body off;
      proxy_set_header Content-Length 0; proxy_pass http://127.0.0.1:{port}/ok; }}
    location = /ok {{ return 200 ok; }} }} }}
"""


def command(configuration: str, place: Path, port: int) -> list[str]:
    path = place / "nginx.conf"
    path.write_text(configuration.format(place=place, port=port))
    return ["nginx", "-c", str(path)]
