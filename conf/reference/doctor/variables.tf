variable "idle_timeout" {
  type    = number
  default = 3600
}

variable "public_subnets" {
  type = list(string)
}

variable "certificate_arn" {
  type = string
}

variable "vpc_id" {
  type = string
}

variable "cluster" {
  type = string
}

variable "repository" {
  type = string
}

variable "release" {
  type    = string
  default = "1.8.3"
}
