"""What Prometheus and Grafana need, made from the metrics' one definition."""
