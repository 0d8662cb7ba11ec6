# Tasks follow open connections: 5000 on average, 2 to 20 tasks. The metric is one that something
# publishes from the backend's /actuator/prometheus, such as the CloudWatch agent:
# docs/guides/autoscaling.md.

resource "aws_appautoscaling_target" "backend" {
  service_namespace  = "ecs"
  scalable_dimension = "ecs:service:DesiredCount"
  resource_id        = "service/${aws_ecs_cluster.albeit.name}/${aws_ecs_service.backend.name}"
  min_capacity       = 2
  max_capacity       = 20
}

resource "aws_appautoscaling_policy" "connections" {
  name               = "websocket-connections"
  policy_type        = "TargetTrackingScaling"
  service_namespace  = aws_appautoscaling_target.backend.service_namespace
  scalable_dimension = aws_appautoscaling_target.backend.scalable_dimension
  resource_id        = aws_appautoscaling_target.backend.resource_id

  target_tracking_scaling_policy_configuration {
    target_value       = 5000
    scale_out_cooldown = 60
    scale_in_cooldown  = 300

    customized_metric_specification {
      namespace   = "Albeit"
      metric_name = "websocket_connections_active"
      statistic   = "Average"

      dimensions {
        name  = "ServiceName"
        value = aws_ecs_service.backend.name
      }
    }
  }
}
