# TCP passes through; the client's address goes along in a PROXY protocol v2 header.

resource "aws_lb" "front" {
  name               = "albeit-nlb"
  load_balancer_type = "network"
  internal           = false
  subnets            = var.public_subnet_ids
  security_groups    = [aws_security_group.front.id]
}

resource "aws_lb_target_group" "front" {
  for_each = { https = 8443, http = 8080 }

  name              = "albeit-${each.key}"
  vpc_id            = var.vpc_id
  target_type       = "ip"
  protocol          = "TCP"
  port              = each.value
  proxy_protocol_v2 = true
  # With PROXY protocol there is no need for it, and answers find their way by themselves.
  preserve_client_ip = false

  # As long as WebSockets may live on a task that is going away: its stopTimeout comes after this.
  deregistration_delay   = 300
  connection_termination = false

  # By TCP: a check by HTTP would begin with a PROXY protocol header as well.
  health_check {
    protocol            = "TCP"
    interval            = 10
    healthy_threshold   = 2
    unhealthy_threshold = 2
  }
}

resource "aws_lb_listener" "front" {
  for_each = { https = 443, http = 80 }

  load_balancer_arn = aws_lb.front.arn
  protocol          = "TCP"
  port              = each.value

  # Longer than the idle timeout behind it, or the NLB forgets connections that both ends believe in.
  tcp_idle_timeout_seconds = 4000

  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.front[each.key].arn
  }
}

resource "aws_security_group" "front" {
  name_prefix = "albeit-nlb-"
  vpc_id      = var.vpc_id

  dynamic "ingress" {
    for_each = [80, 443]
    content {
      protocol    = "tcp"
      from_port   = ingress.value
      to_port     = ingress.value
      cidr_blocks = ["0.0.0.0/0"]
    }
  }

  egress {
    protocol    = "tcp"
    from_port   = 8080
    to_port     = 8443
    cidr_blocks = [for subnet in data.aws_subnet.private : subnet.cidr_block]
  }

  lifecycle {
    create_before_destroy = true
  }
}

# Only the NLB reaches the balancer, and only Prometheus its admin port.
resource "aws_security_group" "albeit" {
  name_prefix = "albeit-"
  vpc_id      = var.vpc_id

  dynamic "ingress" {
    for_each = [8080, 8443]
    content {
      protocol        = "tcp"
      from_port       = ingress.value
      to_port         = ingress.value
      security_groups = [aws_security_group.front.id]
    }
  }

  ingress {
    protocol        = "tcp"
    from_port       = 9901
    to_port         = 9901
    security_groups = [var.monitoring_security_group_id]
  }

  egress {
    protocol    = "-1"
    from_port   = 0
    to_port     = 0
    cidr_blocks = ["0.0.0.0/0"]
  }

  lifecycle {
    create_before_destroy = true
  }
}

# Only the balancer reaches the targets.
resource "aws_security_group" "backend" {
  name_prefix = "backend-"
  vpc_id      = var.vpc_id

  ingress {
    protocol        = "tcp"
    from_port       = 8080
    to_port         = 8080
    security_groups = [aws_security_group.albeit.id, var.monitoring_security_group_id]
  }

  egress {
    protocol    = "-1"
    from_port   = 0
    to_port     = 0
    cidr_blocks = ["0.0.0.0/0"]
  }

  lifecycle {
    create_before_destroy = true
  }
}

data "aws_subnet" "public" {
  for_each = toset(var.public_subnet_ids)
  id       = each.value
}

data "aws_subnet" "private" {
  for_each = toset(var.private_subnet_ids)
  id       = each.value
}

# One A record for each healthy task: what the balancer looks up.
resource "aws_service_discovery_private_dns_namespace" "internal" {
  name = "albeit.internal"
  vpc  = var.vpc_id
}

resource "aws_service_discovery_service" "backend" {
  name = "backend"

  dns_config {
    namespace_id   = aws_service_discovery_private_dns_namespace.internal.id
    routing_policy = "MULTIVALUE"

    dns_records {
      type = "A"
      ttl  = 5
    }
  }
}
