# Albeit on Fargate behind a network load balancer: docs/guides/ecs.md.

terraform {
  required_version = ">= 1.5"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.79"
    }
  }
}

provider "aws" {
  region = var.region
}

locals {
  tasks = {
    for name in ["albeit", "backend"] : name => jsondecode(templatefile("${path.module}/${name}-task.json", {
      albeit_image       = var.albeit_image
      backend_image      = var.backend_image
      backend_host       = "backend.${aws_service_discovery_private_dns_namespace.internal.name}"
      execution_role_arn = aws_iam_role.execution.arn
      log_group          = aws_cloudwatch_log_group.albeit.name
      nlb_cidrs          = join(",", [for subnet in data.aws_subnet.public : subnet.cidr_block])
      region             = var.region
      secret_arn         = var.secret_arn
    }))
  }
}

resource "aws_ecs_cluster" "albeit" {
  name = "albeit"

  setting {
    name  = "containerInsights"
    value = "enabled"
  }
}

resource "aws_ecs_task_definition" "task" {
  for_each = local.tasks

  family                   = each.value.family
  requires_compatibilities = each.value.requiresCompatibilities
  network_mode             = each.value.networkMode
  cpu                      = each.value.cpu
  memory                   = each.value.memory
  execution_role_arn       = each.value.executionRoleArn
  container_definitions    = jsonencode(each.value.containerDefinitions)

  runtime_platform {
    cpu_architecture        = each.value.runtimePlatform.cpuArchitecture
    operating_system_family = each.value.runtimePlatform.operatingSystemFamily
  }

  dynamic "volume" {
    for_each = try(each.value.volumes, [])
    content {
      name = volume.value.name
    }
  }
}

resource "aws_ecs_service" "albeit" {
  name            = "albeit"
  cluster         = aws_ecs_cluster.albeit.id
  task_definition = aws_ecs_task_definition.task["albeit"].arn
  launch_type     = "FARGATE"
  desired_count   = 2

  deployment_minimum_healthy_percent = 100
  deployment_maximum_percent         = 200
  health_check_grace_period_seconds  = 30

  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }

  network_configuration {
    subnets         = var.private_subnet_ids
    security_groups = [aws_security_group.albeit.id]
  }

  dynamic "load_balancer" {
    for_each = aws_lb_target_group.front
    content {
      target_group_arn = load_balancer.value.arn
      container_name   = "albeit"
      container_port   = load_balancer.value.port
    }
  }

  depends_on = [aws_lb_listener.front]
}

resource "aws_ecs_service" "backend" {
  name            = "backend"
  cluster         = aws_ecs_cluster.albeit.id
  task_definition = aws_ecs_task_definition.task["backend"].arn
  launch_type     = "FARGATE"
  desired_count   = 2

  deployment_minimum_healthy_percent = 100
  deployment_maximum_percent         = 200

  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }

  network_configuration {
    subnets         = var.private_subnet_ids
    security_groups = [aws_security_group.backend.id]
  }

  service_registries {
    registry_arn = aws_service_discovery_service.backend.arn
  }

  # Autoscaling decides from here on.
  lifecycle {
    ignore_changes = [desired_count]
  }
}

resource "aws_cloudwatch_log_group" "albeit" {
  name              = "/ecs/albeit"
  retention_in_days = 30
}

resource "aws_iam_role" "execution" {
  name_prefix = "albeit-execution-"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "ecs-tasks.amazonaws.com" }
    }]
  })
}

resource "aws_iam_role_policy_attachment" "execution" {
  role       = aws_iam_role.execution.name
  policy_arn = "arn:aws:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy"
}

resource "aws_iam_role_policy" "secrets" {
  role = aws_iam_role.execution.id
  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = "secretsmanager:GetSecretValue", Resource = var.secret_arn }]
  })
}

output "address" {
  value = aws_lb.front.dns_name
}
