// A NestJS Socket.IO gateway with what the load speaks: `message`, for everybody.
// Decorators are called as functions, so that no compiler is needed.

import "reflect-metadata";
import { Module } from "@nestjs/common";
import { NestFactory } from "@nestjs/core";
import { MessageBody, SubscribeMessage, WebSocketGateway, WebSocketServer } from "@nestjs/websockets";

class ChatGateway {
  message(body) {
    this.server.emit("message", body);
  }
}

const method = name => Object.getOwnPropertyDescriptor(ChatGateway.prototype, name);
MessageBody()(ChatGateway.prototype, "message", 0);
SubscribeMessage("message")(ChatGateway.prototype, "message", method("message"));
WebSocketServer()(ChatGateway.prototype, "server");
WebSocketGateway({ namespace: "/chat", transports: ["websocket", "polling"] })(ChatGateway);

class App {}
Module({ providers: [ChatGateway] })(App);

const app = await NestFactory.create(App, { logger: false });
await app.listen(Number(process.argv[2]), "127.0.0.1");
