variable "region" {
  type    = string
  default = "eu-central-1"
}

variable "vpc_id" {
  type = string
}

variable "public_subnet_ids" {
  description = "Of the network load balancer; their CIDR blocks are whom the balancer believes PROXY protocol headers."
  type        = list(string)
}

variable "private_subnet_ids" {
  description = "Of the tasks."
  type        = list(string)
}

variable "albeit_image" {
  description = "conf/ecs/Dockerfile, pushed somewhere."
  type        = string
}

variable "backend_image" {
  description = "The image of make image, or your own service."
  type        = string
}

variable "secret_arn" {
  description = "A secret of Secrets Manager, a JSON object with tls_certificate, tls_private_key, stickiness_key, admin_token, db_username, db_password, redis_host and jwt_secret."
  type        = string
}

variable "monitoring_security_group_id" {
  description = "Whoever may read metrics."
  type        = string
}
