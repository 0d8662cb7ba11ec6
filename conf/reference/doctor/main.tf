# Reference system E in Terraform, with its mistakes: nobody set the time that a target has to finish, and the
# listener has no policy of its own.

locals {
  name = "websocket"
  day  = 24 * 60 * 60
}

resource "aws_lb" "websocket" {
  name               = "${local.name}-alb"
  load_balancer_type = "application"
  subnets            = var.public_subnets
  idle_timeout       = var.idle_timeout

  access_logs {
    bucket  = "websocket-alb-logs"
    enabled = true
  }
}

resource "aws_lb_listener" "https" {
  load_balancer_arn = aws_lb.websocket.arn
  port              = 443
  protocol          = "HTTPS"
  certificate_arn   = var.certificate_arn

  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.websocket.arn
  }
}

resource "aws_lb_target_group" "websocket" {
  name        = "${local.name}-tg"
  port        = 8080
  protocol    = "HTTP"
  target_type = "ip"
  vpc_id      = var.vpc_id

  health_check {
    path                = "/actuator/health"
    healthy_threshold   = 2
    unhealthy_threshold = 3
    timeout             = 5
    interval            = 15
    matcher             = "200"
  }

  stickiness {
    type            = "lb_cookie"
    cookie_duration = local.day
  }
}

resource "aws_ecs_task_definition" "websocket" {
  family                   = "websocket-service"
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = 1024
  memory                   = 2048

  container_definitions = jsonencode([
    {
      name         = "websocket-app"
      image        = "${var.repository}:${var.release}"
      essential    = true
      portMappings = [{ containerPort = 8080, protocol = "tcp" }]
      environment = [
        { name = "SPRING_PROFILES_ACTIVE", value = "prod" },
        { name = "SERVER_TOMCAT_KEEPALIVETIMEOUT", value = "20000" },
      ]
      healthCheck = {
        command     = ["CMD-SHELL", "curl -f http://localhost:8080/actuator/health || exit 1"]
        interval    = 15
        timeout     = 5
        retries     = 3
        startPeriod = 60
      }
      stopTimeout = 60
    }
  ])
}

resource "aws_ecs_service" "websocket" {
  name            = "websocket-service"
  cluster         = var.cluster
  task_definition = aws_ecs_task_definition.websocket.arn
  desired_count   = 2
  launch_type     = "FARGATE"

  load_balancer {
    target_group_arn = aws_lb_target_group.websocket.arn
    container_name   = "websocket-app"
    container_port   = 8080
  }
}
