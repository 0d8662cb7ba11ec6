// A NestJS Socket.IO gateway with what the load speaks: `joinRoom`, `message`.
// Decorators are called as functions, so that no compiler is needed.

import "reflect-metadata";
import { Module } from "@nestjs/common";
import { NestFactory } from "@nestjs/core";
import { ConnectedSocket, MessageBody, SubscribeMessage, WebSocketGateway, WebSocketServer } from "@nestjs/websockets";

class ChatGateway {
  joinRoom(room, socket) {
    socket.join(room);
    return { room };
  }

  message(body) {
    this.server.to(body.room).emit("message", body);
  }
}

const method = name => Object.getOwnPropertyDescriptor(ChatGateway.prototype, name);
Reflect.defineMetadata("design:paramtypes", [Object, Object], ChatGateway.prototype, "joinRoom");
MessageBody()(ChatGateway.prototype, "joinRoom", 0);
ConnectedSocket()(ChatGateway.prototype, "joinRoom", 1);
MessageBody()(ChatGateway.prototype, "message", 0);
SubscribeMessage("joinRoom")(ChatGateway.prototype, "joinRoom", method("joinRoom"));
SubscribeMessage("message")(ChatGateway.prototype, "message", method("message"));
WebSocketServer()(ChatGateway.prototype, "server");
WebSocketGateway({ namespace: "/chat", transports: ["websocket", "polling"] })(ChatGateway);

class App {}
Module({ providers: [ChatGateway] })(App);

const app = await NestFactory.create(App, { logger: false });
await app.listen(Number(process.argv[2]), "127.0.0.1");
